"""Pack registered models for machines without Retake."""

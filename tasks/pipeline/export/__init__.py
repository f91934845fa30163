"""Pack registered models for machines without Retake, and train smaller ones from their answers."""

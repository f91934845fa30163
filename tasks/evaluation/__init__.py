"""What a network is worth: scoring, metrics with their uncertainty, latency, pictures, tables and the decision. Pure but for logging."""

"""Train a network, score it, decide on it, and register it."""

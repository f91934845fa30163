"""Train a network, score it, decide on it, and register it; compare_networks uses its training steps too."""

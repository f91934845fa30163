"""Train networks.

A `job` is set up, `fit` runs its epochs on a `module`, which takes losses, optimizer and schedule from `optimizer`. `linear_probe` fits a
probe, `trials` the heads of a search.
"""

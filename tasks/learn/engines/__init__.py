"""Inference engines for CPUs and GPUs with their parity check, and what explains their answers.

`choice` makes one and checks it, `scorer` answers clips by it; `cached_features` caches what it computes. `graph` writes networks for other
runtimes, `model_files` runs those.
"""

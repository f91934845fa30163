"""Compute scores and their statistics.

`answers` ranks logits, `metrics` scores a network, `paired` compares two, `uncertainty` has intervals and the
bootstrap (`options.retrain` says how many resamples). Pure functions, except for logging.
"""

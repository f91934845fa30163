"""Compute scores and their statistics.

Metrics, uncertainty, paired tests, calibration, and data checks. Pure functions, except for logging.
"""

"""Scores and their statistics: metrics, uncertainty, paired tests, calibration, data checks. Pure functions, except for logging."""

"""Scores and their statistics: metrics, uncertainty, paired tests, calibration, checks of the data. Pure but for logging."""

"""Estimate the gain of more labels."""

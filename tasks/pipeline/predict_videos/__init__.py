"""Predict videos by a registered model and a second network beside it."""

"""Describe sound by spectrograms and by the features of frozen networks, and store it beside its clip."""

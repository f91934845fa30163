"""Suggest the trials of a search from the results of earlier rounds."""

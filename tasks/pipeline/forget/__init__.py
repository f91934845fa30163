"""Forget videos, and say which models saw them.

All that the store and MLflow have of the videos is deleted.
"""

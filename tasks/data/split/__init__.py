"""Divide videos among train, val and test, and write the manifest."""

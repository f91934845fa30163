"""Divide videos among train, val and test, write the manifest, and divide training clips into folds."""

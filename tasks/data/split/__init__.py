"""Divide videos among train, val and test, fill the manifest, and divide training clips into folds.

`store.records.dataset` has the fields of a manifest.
"""

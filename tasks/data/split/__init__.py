"""Divide videos among train, val and test, fill the manifest, and divide training clips into folds.

`split` also reads and writes `split.csv`. `store.records.dataset` has the fields of a manifest.
"""

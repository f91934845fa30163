"""Divide videos among train, val and test, fill the manifest, and divide training clips into folds.

`stratify` deals sources by their actions; `split` keeps places for ever, in `split.csv`. `store.records.dataset` has the fields of a manifest.
Pictures are not compared here: `judge.statistics.checks` looks for near-duplicates after the fact.
"""

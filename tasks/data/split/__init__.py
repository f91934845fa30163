"""Divide videos among train, val and test, and training clips into folds; fill the manifest.

`stratify` deals sources by their actions; `split` keeps places for ever, in `split.csv`. `store.records.dataset` has the fields of a manifest.
Pictures are not compared here: `judge.statistics.checks` looks for near-duplicates after the fact.
"""

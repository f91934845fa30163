"""Divide videos among train, val and test, and training clips into folds; fill the manifest.

`stratify` deals sources by their actions; `split` keeps places for ever, in `split.csv`. `store.records.dataset` has the fields of a manifest.
The source of a clip comes with its label: `labels.label_clips` gives the videos of one recording one source, by `labels.recordings`.
Pictures are not compared here: `judge.statistics.data_checks` looks for near-duplicates after the fact.
"""

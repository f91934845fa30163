"""Say where the loop stands, and what to do next.

It has the summary of a store, advice by one table of rules, the difference of two datasets, and word to people.

`text` prints `python -m tasks status`; `make status` is in `local`.

Other rooms import `advice`, `difference`, `notices`, `parts`, `summary` and `text`.
"""

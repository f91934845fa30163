"""Say where the loop stands: the summary of a store, advice by one table of rules, and the difference of two datasets.

Other rooms import `advice`, `difference`, `history`, `live`, `parts`, `summary` and `text`.
"""

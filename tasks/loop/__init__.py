"""Say where the loop stands: the summary of a store, advice by one table of rules, the difference of two datasets, word to people.

Other rooms import `advice`, `difference`, `notices`, `parts`, `summary` and `text`.
"""

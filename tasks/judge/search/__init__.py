"""Suggest the trials of a search from the results of earlier rounds, and score them.

`options.search` has what can be searched, and the default ranges.
"""

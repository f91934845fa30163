"""Say where the loop stands, and what to do next.

A new concern is a rule of `advice.RULES`, and a message about it one of `notices.EVENTS`. `parts` has what `summary` keeps of a
store; `difference` compares two datasets. `text` prints `python -m tasks status`; `make status` is in `local`.

Other rooms import `advice`, `difference`, `notices`, `parts`, `summary`, `text`.
"""

"""Say where the loop stands, and what to do next.

A new concern is a rule of `advice.RULES`, and a message about it one of `notices.EVENTS`. `summary_parts` has what `summary` keeps of a
store, and prints for `python -m tasks status`; `page_answers` counts those of the page Label since then. `difference` compares two datasets.
`make status` is in `local`.

Other rooms import `advice`, `difference`, `notices`, `page_answers`, `summary`, `summary_parts`.
"""

"""Say where the loop stands, and what to do next.

A new concern is a rule of `next_steps.RULES`, and a message about it one of `notices.EVENTS`. `summary_parts` has what `summary` keeps of a
store, and prints for `python -m tasks status`; `page_answers` counts those of the page Label since then. `difference` compares two datasets.
`make status` is in `local`.

Other rooms import `difference`, `next_steps`, `notices`, `page_answers`, `summary`, `summary_parts`.
"""

"""Decide whether the new network replaces the champion, and record the decision.

`gate` has the rules, also that of a provisional champion, each with its sentence; `error_budget` says how often clips may decide.
`verdict` words the outcome and what follows, such as "Not promoted", and has the facts that tell what to do next; `champion` records a promotion.
"""

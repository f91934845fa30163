"""Decide whether the new network replaces the champion, and record the decision.

`gate` has the rules, also that of a provisional champion, each with its sentence; `looks` how often clips may decide. `verdict` words the
whole, and `champion` records a promotion.
"""

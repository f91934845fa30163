"""Decide whether the new network replaces the champion, and record the decision.

`gate` has the rules, also that of a provisional champion; `looks` how often clips may decide. `verdict` words what they found, and `champion`
records a promotion.
"""

"""Decide whether the new network replaces the champion, and record the decision."""

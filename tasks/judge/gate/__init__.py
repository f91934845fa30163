"""Decide whether the fine-tuned network replaces the champion, and record the decision."""

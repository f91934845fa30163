"""Decide whether the fine-tuned network takes the place of the champion, and keep the decision."""

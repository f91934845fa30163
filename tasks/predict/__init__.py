"""Compare two networks' predictions for clips without labels.

How sure they are, where they agree, and which clips a person should label.
"""

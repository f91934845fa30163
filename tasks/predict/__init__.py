"""Write what networks predict for clips: tables, tracks, intervals, and the page that compares two networks.

It says how sure they are, where they agree, and which clips a person should label.

Other rooms import `agreement`, `files`, `gathering`, `interval_scores`, `intervals`, `page`, `probabilities`, `scored`, `shift`, `to_label`.
"""

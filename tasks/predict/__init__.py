"""Write predictions as tables, tracks and intervals, and the page that compares two networks.

Other rooms import `agreement`, `files`, `gathering`, `interval_scores`, `intervals`, `page`, `probabilities`, `scored`, `shift`,
`to_label`.
"""

"""Write predictions as tables, tracks and intervals, and the page that compares two networks.

Other rooms import `agreement`, `gathering`, `interval_scores`, `intervals`, `output_files`, `page`, `probabilities`, `scored_video`,
`shift`, `to_label`.
"""

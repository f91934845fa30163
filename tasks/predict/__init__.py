"""Write the predictions of networks for clips, and the page that compares two networks.

Predictions are tables, tracks and intervals. They say how sure the networks are, where they agree, and which clips a person should label.

Other rooms import `agreement`, `files`, `gathering`, `interval_scores`, `intervals`, `page`, `probabilities`, `scored`, `shift`,
`to_label`.
"""

"""Read folders, annotation files and the statements of the page Label, and label clips by them. Pure functions: no store, no torch.

`ledger` says which statements of the page hold, and where two readers differ; in `page_labels` the latest about a clip wins.
"""

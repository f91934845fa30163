"""Label clips by folders, annotation files and the statements of the page Label.

Pure functions: no store, no torch.

`ledger` says which statements of the page hold, and where two readers differ; in `page_labels` the latest about a clip wins.
"""

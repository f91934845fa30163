"""Label clips by folders, annotation files and the statements of the page Label.

Pure functions: no store, no torch.

`csv_rows` has the columns of Retake's files, `formats/` those of other tools; `label_clips` says which line labels a clip, `vocabulary` which class a
name means. `ledger` says which statements of the page hold, and where two readers differ; in `page_labels` the latest about a clip wins.
"""

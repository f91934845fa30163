"""Render a run's report: a self-contained HTML page, a model card and contact sheets. Pure functions, no I/O.

`run`, `networks` and `search` make a page each, of the parts in `scores`, `class_tables`, `curves` and `charts`; `comparison_text` is plain text.
`statistics.mistakes` chooses the worst mistakes, `pictures` draws them, as PNG for MLflow and the store. `drawing` has the house style.
"""

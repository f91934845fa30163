"""Render a run's report: a self-contained HTML page, a model card and contact sheets. Pure functions, no I/O.

`run`, `networks` and `search` make a page each, of the parts in `sections` and `class_tables`. `statistics.mistakes` chooses the worst
mistakes, `figures.pictures` draws them.
"""

"""Render a run's report: a self-contained HTML page, a model card and contact sheets. Pure functions, no I/O.

`statistics.mistakes` chooses the worst mistakes that `figures.pictures` draws.
"""

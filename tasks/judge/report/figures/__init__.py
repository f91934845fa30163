"""Draw charts by matplotlib: PNG for MLflow and the store, SVG for pages.

`pictures` draws what steps store, such as confusion matrices and contact sheets; `run` and `search` draw the charts of pages.
Equal data give equal bytes under one version of it. SVG has the colours of the pages' style sheet, PNG those of `drawing.STYLE` and `pictures`.
"""

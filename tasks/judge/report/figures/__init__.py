"""Draw charts by matplotlib: PNG for MLflow and the store, SVG for pages.

Equal data give equal bytes under one version of it. SVG has the colours of the pages' style sheet, PNG those of `drawing.STYLE` and `pictures`.
"""

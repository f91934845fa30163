"""Draw charts by matplotlib: PNG for MLflow and the store, SVG for pages.

Equal data give equal bytes under one version of it.
"""

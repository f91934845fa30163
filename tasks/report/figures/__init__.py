"""Draw training and evaluation as PNG bytes; equal data give equal bytes under one version of matplotlib."""

"""Pictures of a training and an evaluation, as PNG bytes. The same data give the same bytes under one version of matplotlib."""

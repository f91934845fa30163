"""Serve the labelling page: clips to label, intervals, a review of labels, the classes.

In `static/`, each view has its own keys; `key_presses.js` hands them the strokes.
Nothing here knows Airflow: who asks, and who may write, comes from outside.
"""

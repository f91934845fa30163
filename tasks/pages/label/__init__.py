"""Serve the labelling page: clips to label, intervals, a review of labels, the classes.

`clips` says how many actions are suggested, `judge.statistics.answers` how many a prediction keeps. In `static/`, each view has its own keys; `keys.js` hands them the strokes. `dom.js` has the hue of a class, `label.css` its lightness.
Nothing here knows Airflow: who asks, and who may write, comes from outside.
"""

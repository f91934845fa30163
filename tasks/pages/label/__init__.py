"""Serve the labelling page: clips to label, intervals, a review of all labels, and the classes.

Nothing here knows Airflow: who asks, and who may write, comes from outside.
"""

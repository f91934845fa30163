"""Wire steps into DAGs.

A DAG file names steps and passes addresses; `tasks` does the work.
"""

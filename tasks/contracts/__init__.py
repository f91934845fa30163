"""Describe the arguments and the result of each step, one file per DAG.

They are light, because the command line, the DAGs and docs/commands.md read them.
"""

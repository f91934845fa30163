"""Run the steps: read the store, call other packages, write outputs.

`result.json` is written last.
"""

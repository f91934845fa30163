"""Run the steps: read the store, call the rooms, write outputs, `result.json` last."""

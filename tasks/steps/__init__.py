"""Steps: read inputs from the store, call the rooms' cores, write outputs, write `result.json` last. Each module has `run`."""

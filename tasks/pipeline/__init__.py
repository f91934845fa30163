"""Run the steps: read the store, call the other rooms, write outputs, `result.json` last.

A folder for each DAG, or for commands of one kind, has `contract.py`, what its steps take and give and which of them use the GPU, and a file for
each step; files that begin with `_` are shared. `tests/pipeline/page.py` writes `docs/commands.md` from the contracts.

Other rooms import `commands`, `step` and `*.contract`, which are light, and `upkeep.backup` and `upkeep.restore`.
"""

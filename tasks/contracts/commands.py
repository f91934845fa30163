"""List the sub-commands of `python -m tasks` by their names."""

from collections.abc import Mapping

from tasks.contracts import build_dataset, compare_networks, ingest_videos, predict_videos, retrain
from tasks.contracts.step import Step

COMMANDS: Mapping[str, Step] = {
    step.name: step
    for contracts in (ingest_videos, build_dataset, retrain, compare_networks, predict_videos)
    for step in vars(contracts).values()
    if isinstance(step, Step)
}
STEPS: Mapping[str, Step] = {name: step for name, step in COMMANDS.items() if not step.by_hand}
"""Commands that DAGs run."""

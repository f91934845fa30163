"""List the sub-commands of `python -m tasks` by their names."""

from collections.abc import Mapping
from typing import Any

from tasks.contracts import build_dataset, compare_networks, compare_versions, ingest_videos, labels, predict_videos, retrain, search
from tasks.contracts.step import Command, Step

COMMANDS: Mapping[str, Command] = {
    command.name: command
    for contracts in (ingest_videos, build_dataset, labels, retrain, compare_networks, compare_versions, search, predict_videos)
    for command in vars(contracts).values()
    if isinstance(command, Command)
}
STEPS: Mapping[str, Step[Any, Any]] = {name: command for name, command in COMMANDS.items() if isinstance(command, Step)}
"""Commands that DAGs run."""

"""List the sub-commands of `python -m tasks` by their names."""

from collections.abc import Mapping
from typing import Any

from tasks.pipeline.build_dataset import contract as build_dataset
from tasks.pipeline.compare_networks import contract as compare_networks
from tasks.pipeline.compare_versions import contract as compare_versions
from tasks.pipeline.ingest_videos import contract as ingest_videos
from tasks.pipeline.labels import contract as labels
from tasks.pipeline.learning_curve import contract as learning_curve
from tasks.pipeline.predict_videos import contract as predict_videos
from tasks.pipeline.retrain import contract as retrain
from tasks.pipeline.search import contract as search
from tasks.pipeline.step import Command, Step

COMMANDS: Mapping[str, Command] = {
    command.name: command
    for contracts in (
        ingest_videos,
        build_dataset,
        labels,
        retrain,
        learning_curve,
        compare_networks,
        compare_versions,
        search,
        predict_videos,
    )
    for command in vars(contracts).values()
    if isinstance(command, Command)
}
STEPS: Mapping[str, Step[Any, Any]] = {name: command for name, command in COMMANDS.items() if isinstance(command, Step)}
"""Commands that DAGs run."""

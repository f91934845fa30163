"""Read the configurations of a comparison: one network per line, over shared training options."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from pydantic import ValidationError

from tasks.errors import BadConfiguration
from tasks.keys import configuration_key, fused, without_idle
from tasks.learn.gpus import trains_on_gpu
from tasks.options import TrainOptions, choose_recipe
from tasks.options.base import refusals
from tasks.pipeline._plans import find_dataset, recipe_for, require_no_secrets
from tasks.pipeline._results import finish, log
from tasks.pipeline.compare_networks.contract import CONFIGURE, ConfigureArguments
from tasks.store.objects import Store
from tasks.store.records.comparison import Configuration, ConfigureResult

Choose = Callable[..., tuple[TrainOptions, str]]
"""`choose_recipe`, with all but the options of one network."""
KNOWN = tuple(name for name in TrainOptions.model_fields if name != "fuse")


def run(arguments: ConfigureArguments, store: Store) -> ConfigureResult:
    """Complete the options of each configuration, and fix one dataset for all.

    Raises:
        BadConfiguration: a line names an unknown option or a bad value, two lines are the same network, or an address has a password.
        NothingToDo: there is no dataset yet.
    """
    dataset = find_dataset(store, arguments.store, arguments.dataset)
    common = arguments.picked(TrainOptions)
    require_no_secrets(*arguments.configurations, common.checkpoint, common.backbone_weights)
    if arguments.preset == "auto":
        num_clips = sum(clip.split == "train" for clip in store.read(dataset.manifest).clips)
        networks = configured(arguments.configurations, common, partial(choose_recipe, has_gpu=trains_on_gpu(), num_clips=num_clips))
    else:
        networks = configured(arguments.configurations, recipe_for(arguments.preset, common, 0, arguments.store, store)[0])
    # Later tasks read the address of this dataset, which no other comparison may change.
    place = CONFIGURE.address(arguments).on(dataset.digest)
    configurations = tuple(
        Configuration(
            name=name,
            options=options.model_dump_json(),
            dataset=dataset.folder_uri,
            out=place.network(configuration_key(options)).folder_uri,
            claims=place.claims.folder_uri,
        )
        for name, options in networks.items()
    )
    log.info("%d networks on dataset %s: %s", len(configurations), dataset.digest, "; ".join(networks))
    result = ConfigureResult(dataset_uri=dataset.folder_uri, configured_uri=place.folder_uri, configurations=configurations)
    finish(store, place, result)
    return finish(store, CONFIGURE.address(arguments), result)


def configured(lines: Sequence[str], common: TrainOptions, choose: Choose | None = None) -> dict[str, TrainOptions]:
    """Complete the options of each configuration, by its line with single spaces.

    Args:
        choose: chooses the recipe of preset `auto` for a line; without it, lines change only what they name in `common`.

    Raises:
        BadConfiguration: as `run` does; the message repeats the line.
    """
    completed: dict[str, TrainOptions] = {}
    lines = [" ".join(line.split()) for line in lines if line.strip()]
    changes = {line: _changes(line, common) for line in lines}
    varied = {name for changed in changes.values() for name in changed}
    for line in lines:
        options = without_idle(_overlaid(line, common, changes[line], partial(choose, varied=varied) if choose else None))
        if same := next((name for name, other in completed.items() if other == options), None):
            raise BadConfiguration(f"configurations: `{line}` is the same network as `{same}`; leave one of them out")
        completed[line] = options
    if len(completed) < 2:
        raise BadConfiguration("configurations: a comparison needs two or more, one a line, as in `family=TRN backbone=resnet50`")
    return completed


def _changes(line: str, common: TrainOptions) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if common.fuse:
        raise BadConfiguration("fuse: a comparison trains its networks; to fuse trained ones, write a line `fuse=runs/KEY/,runs/KEY/`")
    for pair in line.split(" "):
        name, equals, value = pair.partition("=")
        if not equals:
            raise BadConfiguration(f"configurations: `{line}`: {pair} is not option=value")
        if name not in (*KNOWN, "fuse"):
            raise BadConfiguration(f"configurations: `{line}`: unknown option {name}; known are {', '.join(KNOWN)}")
        if name in changes:
            raise BadConfiguration(f"configurations: `{line}`: {name} occurs twice")
        changes[name] = [member for member in value.split(",") if member] if name == "fuse" else value
    return changes


def _overlaid(line: str, common: TrainOptions, changes: Mapping[str, Any], choose: Choose | None) -> TrainOptions:
    given = {**common.model_dump(mode="json"), **changes}
    try:
        if choose is None:
            options = TrainOptions.model_validate(given)
        else:
            options, chosen = choose(given, named=changes)
            log.info("`%s`: %s", line, chosen)
    except ValidationError as error:
        problems = "; ".join(f"{name}: {reason}" if name else reason for name, reason in refusals(error, TrainOptions))
        raise BadConfiguration(f"configurations: `{line}`: {problems}") from None
    return fused(options, options.fuse) if options.fuse else options

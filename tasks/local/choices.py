"""Parse `key=value` options, and pass each to the DAG of the chain that takes it."""

import json
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.disk import expanded
from tasks.errors import BadConfiguration, BadInput
from tasks.options import LIGHT, PRESETS, Head, IngestOptions, Options, SegmentOptions, TrainOptions, dag_options, with_recipe
from tasks.options.base import refusals
from tasks.store.stored import names_objects

SAMPLES = Path(__file__).with_name("samples")
SAMPLE_STORE = "s3://retake-sample"
"""The sample videos, and their own store."""
SAMPLE_OPTIONS: dict[str, object] = {
    "model_name": "retake-tsn-sample",
    "split_seed": 5,
    "test_share": 0,
    "preset": "none",
    **LIGHT.model_dump(mode="json", exclude_defaults=True),
}
"""Options for the sample videos, without downloads and fast on two cores.

They are the same on every machine. The split is assigned by the hashes of the files; this seed leaves the videos of val that the figures in the docs
are of. There is no test split, whose videos the networks of the docs would lack.

Their model has its own name, so that it never competes with a model for your videos.
"""

CHAIN: dict[str, tuple[dag_options.OptionModels, dag_options.OptionModels]] = {
    "ingest_videos": (dag_options.INGEST, (*dag_options.DATASET, *dag_options.RETRAIN)),
    "build_dataset": ((*dag_options.DATASET, SegmentOptions), dag_options.RETRAIN),
    "retrain": (dag_options.RETRAIN, ()),
}
"""The DAGs in order, each with its form's options and its `then` options. The latter are those that it passes on."""

_MODELS = (*dag_options.INGEST, *dag_options.DATASET, *dag_options.RETRAIN)
_NOT_CHOSEN = frozenset({"sources", "dataset"})  # given by VIDEOS=dir and by the chain


class Choices(BaseModel):
    """The parameters of one run of the chain."""

    model_config = ConfigDict(frozen=True)

    store: str
    sources: list[str] = Field(description="Folders on this machine")
    options: dict[str, object] = Field(description="Of all three DAGs, flat; missing ones have their defaults")

    def conf(self, dag_id: str) -> dict[str, object]:
        """Make the `conf` of a run of `dag_id`."""
        own, then = CHAIN[dag_id]
        sources: dict[str, object] = {"sources": self.sources} if IngestOptions in own else {}
        following = {"then": _picked(then, self.options)} if then else {}
        return {"store": self.store, **sources, **_picked(own, self.options), **following}


def parse(option_pairs: Sequence[str]) -> dict[str, object]:
    """Parse options from `key=value` texts, and validate each by its model.

    A probe trains the heads alone, as it must. A preset keeps the options that are named. Beside `auto`, which keeps those that differ from the
    form, an option with the form's own value asks for the form, so the preset is `none` then.

    Raises:
        BadConfiguration: a text is no pair, an option is unknown, or a value is out of range; the message names it.
    """
    given: dict[str, object] = {}
    for pair in option_pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise BadConfiguration(f"--set {pair}: write key=value")
        given[key.strip().replace("-", "_")] = _value(text.strip())
    if removed := dag_options.removal(given):
        raise BadConfiguration(f"--set: {removed}")
    known = sorted({name for model in _MODELS for name in model.model_fields} - _NOT_CHOSEN)
    if unknown := sorted(given.keys() - set(known)):
        near = [name for name in unknown for name in get_close_matches(name, known, n=1)]
        hint = f"did you mean {' and '.join(near)}? " if near else ""
        raise BadConfiguration(f"--set: unknown options {', '.join(unknown)}; {hint}known are {', '.join(known)}")
    if given.get("head") == Head.PROBE:
        given.setdefault("trainable", "heads")
    checked: dict[str, object] = {}
    for model in _MODELS:
        if mine := _picked((model,), given):
            validated = _validated(model, mine)
            checked |= {name: validated[name] for name in mine}
    defaults = TrainOptions().model_dump(mode="json")
    named = checked.keys() & defaults.keys()
    if named and (recipe := PRESETS.get(str(checked.get("preset")))):
        return {**checked, **_validated(TrainOptions, _picked((TrainOptions,), with_recipe(recipe, checked, named))), "preset": "none"}
    at_default = sorted(name for name in named if checked[name] == defaults[name] is not None)
    if at_default and checked.setdefault("preset", "none") not in ("auto", "none"):
        raise BadConfiguration(
            f"--set {at_default[0]}: this is its default, which the recipe {checked['preset']} may replace; leave it out, or save a recipe that has it"
        )
    return checked


def check_source(videos: str) -> str:
    """Return a pattern of a bucket as it is, or a folder's absolute path.

    Raises:
        BadConfiguration: the folder is that of a user who does not exist.
        BadInput: it is neither, or the folder has no file.
    """
    if names_objects(videos):
        return videos
    folder = expanded(videos).resolve()
    if not folder.is_dir():
        raise BadInput(
            f"{videos} is not a folder; VIDEOS=dir takes a folder of videos, with sub-folders named by label or a CSV of labels, or a pattern of a bucket"
        )
    if not any(path.is_file() for path in folder.rglob("*")):
        raise BadInput(f"{folder} has no file; put videos there, in sub-folders named by label or beside a CSV of labels")
    return str(folder)


def _picked(models: Sequence[type[Options]], options: Mapping[str, object]) -> dict[str, object]:
    names = {name for model in models for name in model.model_fields}
    return {name: value for name, value in options.items() if name in names}


def _validated(model: type[Options], given: Mapping[str, object]) -> dict[str, object]:
    try:
        return model.model_validate(given).model_dump(mode="json")
    except ValidationError as error:
        problems = "; ".join(f"{name or ', '.join(given)}: {reason}" for name, reason in refusals(error, model))
        raise BadConfiguration(f"--set {problems}") from None


def _value(text: str) -> object:
    """Parse numbers, true, false and null as JSON; anything else is text."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return text if isinstance(value, (dict, list)) else value

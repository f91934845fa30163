"""Parse `key=value` options, and pass each to the DAG of the chain that takes it."""

import json
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.errors import BadConfiguration, BadInput
from tasks.options import LIGHT, ORIGINAL, Head, IngestOptions, Options, SegmentOptions, TrainOptions, Weights, forms
from tasks.refusals import refusals

SAMPLE_OPTIONS: dict[str, object] = {
    "model_name": "retake-tsn-sample",
    "split_seed": 5,
    **LIGHT.model_dump(mode="json", exclude_defaults=True),
}
"""Options for the sample videos, without downloads and fast on two cores.

They are the same on every machine. The split is dealt by the hashes of the files; this seed leaves the films of val that the figures in the docs
are of.

Their model has its own name, so that it never competes with a model for your videos.
"""

CHAIN: dict[str, tuple[forms.OptionModels, forms.OptionModels]] = {
    "ingest_videos": (forms.INGEST, (*forms.DATASET, *forms.RETRAIN)),
    "build_dataset": ((*forms.DATASET, SegmentOptions), forms.RETRAIN),
    "retrain": (forms.RETRAIN, ()),
}
"""The DAGs in order, each with its form's options and its `then` options. The latter are those that it passes on."""

_MODELS = (*forms.INGEST, *forms.DATASET, *forms.RETRAIN)
AUTO = "auto"
"""The preset of `make run VIDEOS=dir` without training options: it suits this machine. Airflow gets the options it stands for."""
SUITED = {
    True: "training the whole network on the GPU, as in the original experiment; by a newer recipe: SET=preset=thorough; for the heads only, in minutes: SET=preset=light",
    False: f"no GPU: training only the heads on {LIGHT.backbone}, in minutes; for the whole network, as in the original experiment: SET=preset=original",
}

HEADS_ON_GPU = f"training only the heads on the GPU, on {ORIGINAL.backbone} unless another backbone is named"

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


def parse(pairs: Sequence[str], *, takes_auto: bool = False) -> dict[str, object]:
    """Parse options from `key=value` texts, and validate each by its model.

    `takes_auto` accepts `preset=auto`, for `suited`. With it a probe trains the heads alone, as it must, on any machine.

    Raises:
        BadConfiguration: a text is no pair, an option is unknown, or a value is out of range; the message names it.
    """
    given: dict[str, object] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise BadConfiguration(f"--set {pair}: write key=value")
        given[key.strip().replace("-", "_")] = _value(text.strip())
    known = sorted({name for model in _MODELS for name in model.model_fields} - _NOT_CHOSEN)
    if unknown := sorted(given.keys() - set(known)):
        near = [name for one in unknown for name in get_close_matches(one, known, n=1)]
        hint = f"did you mean {' and '.join(near)}? " if near else ""
        raise BadConfiguration(f"--set: unknown options {', '.join(unknown)}; {hint}known are {', '.join(known)}")
    checked: dict[str, object] = {}
    if takes_auto and given.get("preset") == AUTO:
        checked["preset"] = given.pop("preset")
        if given.get("head") == Head.PROBE:
            given.setdefault("trainable", "heads")
    for model in _MODELS:
        if mine := _picked((model,), given):
            validated = _validated(model, mine)
            checked |= {name: validated[name] for name in mine}
    return checked


def suited(chosen: Mapping[str, object], *, has_gpu: bool) -> tuple[dict[str, object], str | None]:
    """Replace the preset `auto` by options for this machine, and describe them in one line.

    Without a preset and without training options, the preset is `auto`. Chosen options override those of the preset.
    """
    by_default = None if TrainOptions.model_fields.keys() & chosen.keys() else AUTO
    if chosen.get("preset", by_default) != AUTO:
        return dict(chosen), None
    # With AUTO, a GPU machine without EPIC weights still trains; with them, it is the same run as preset=original.
    preset = ORIGINAL.model_copy(update={"weights": Weights.AUTO}) if has_gpu else LIGHT
    own = {name: value for name, value in chosen.items() if name != "preset"}
    line = HEADS_ON_GPU if has_gpu and own.get("trainable") == "heads" else SUITED[has_gpu]
    return {**preset.model_dump(mode="json", exclude_defaults=True), **own}, line


def check_folder(videos: Path) -> Path:
    """Resolve the folder of videos.

    Raises:
        BadInput: it is not a folder, or has no file.
    """
    folder = videos.expanduser().resolve()
    if not folder.is_dir():
        raise BadInput(f"{videos} is not a folder; VIDEOS=dir takes a folder of videos, with sub-folders named by label or a CSV of labels")
    if not any(path.is_file() for path in folder.rglob("*")):
        raise BadInput(f"{folder} has no file; put videos there, in sub-folders named by label or beside a CSV of labels")
    return folder


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

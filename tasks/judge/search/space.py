"""Parse the ranges of a search, and complete suggested values to training options."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from pydantic import TypeAdapter, ValidationError

from tasks.errors import BadConfiguration
from tasks.keys import without_idle
from tasks.options import SearchOptions, SegmentOptions, TrainOptions
from tasks.options.base import refusals
from tasks.store.records.search import Cutting, Value

GRID_POINTS = 5
"""Number of values that a grid takes from a range of real numbers."""

CLIP_SECONDS, CUT = "clip_seconds", "cut"
CUTTING = TypeAdapter(Cutting)
OF_CLIPS = (CLIP_SECONDS, CUT)
"""Searched options that belong to the clips and not to the training."""

EXCLUSIVE = ("family", "head", "modality", "backbone", "num_segments", "trainable")
"""Options with values that exclude one another."""

START_OPTIONS = {
    "family",
    "head",
    "backbone",
    "modality",
    "num_segments",
    "interpolation",
    "weights",
    "checkpoint",
    "backbone_weights",
    "flow_method",
    "flow_bound_pixels",
    "seed",
}
"""Options that the start of a training depends on: its weights, and the specification beside them."""


@dataclass(frozen=True)
class Space:
    """The searched options with their ranges, over the base recipe that has all other options.

    `cutting` is how the dataset was cut.
    """

    base: TrainOptions
    ranges: Mapping[str, BaseDistribution]
    cutting: Cutting

    @classmethod
    def of(cls, chosen: SearchOptions, base: TrainOptions, cutting: Cutting) -> "Space":
        """Read the ranges of the searched options.

        Raises:
            BadConfiguration: a line is no range, a searched option has none, or no training can have one of its values.
        """
        lines = dict(_split(line) for line in chosen.ranges if line.strip())
        if missing := [name for name in chosen.search if name not in lines]:
            raise BadConfiguration(f"ranges: {', '.join(missing)} has no line; add one, as in `{missing[0]}=…`, or do not search it")
        if base.fuse:
            raise BadConfiguration("fuse: a search trains its networks; fuse them afterwards in retrain, by their runs/KEY/")
        if CLIP_SECONDS in chosen.search and ".." in lines[CLIP_SECONDS]:
            raise BadConfiguration(
                f"ranges: `{CLIP_SECONDS}={lines[CLIP_SECONDS]}`: list single lengths; the videos are cut again for each"
            )
        space = cls(base, {name: _distribution(name, lines[name]) for name in sorted(set(chosen.search))}, cutting)
        for name, distribution in space.ranges.items():
            for value in _ends(distribution):
                if problems := _problems(name, value):
                    raise BadConfiguration(f"ranges: `{name}={lines[name]}`: {problems}")
        lengths = [float(length) for length in space.grid().get(CLIP_SECONDS, [])]
        return replace(space, ranges={**space.ranges, CLIP_SECONDS: CategoricalDistribution(lengths)}) if lengths else space

    def complete(self, values: Mapping[str, Value]) -> TrainOptions | None:
        """Complete suggested values to the options of a training; None if they contradict one another."""
        trained = {name: value for name, value in values.items() if name not in OF_CLIPS}
        try:
            return without_idle(TrainOptions.model_validate(self.base.model_dump(mode="json") | trained))
        except ValidationError:
            return None

    @property
    def own(self) -> dict[str, Value]:
        """Return the values of the base recipe; they may lie outside the ranges."""
        values = self.base.model_dump(mode="json") | self.cutting._asdict()
        return {name: values[name] for name in self.ranges}

    @property
    def other_cuttings(self) -> list[Cutting]:
        """List the ways of cutting of the space that are not the dataset's."""
        lengths, cuts = (self.grid().get(name, [own]) for name, own in self.cutting._asdict().items())
        return sorted({cutting_of({CLIP_SECONDS: seconds, CUT: cut}, self.cutting) for seconds in lengths for cut in cuts} - {self.cutting})

    def untried(self) -> list[str]:
        """Name in a line each the values that no recipe of the space can have, and why."""
        listed = {name: values for name, values in self.grid().items() if name in EXCLUSIVE}
        recipes = [dict(zip(listed, values, strict=True)) for values in product(*listed.values())]
        tried = {choice for recipe in recipes if self.complete(self.own | recipe) for choice in recipe.items()}
        never = [(name, value) for name, values in listed.items() for value in values if (name, value) not in tried]
        return [f"{name}={value} is never tried: {_refusal(self.base, name, value)}" for name, value in never]

    def grid(self) -> dict[str, list[Value]]:
        """List the values of a full grid, by option."""
        return {name: _points(distribution) for name, distribution in self.ranges.items()}


def cutting_of(values: Mapping[str, Value], own: Cutting) -> Cutting:
    """Return how the clips of a trial are cut; `own` is how those of the dataset are."""
    return CUTTING.validate_python({name: values.get(name, value) for name, value in own._asdict().items()})


def _split(line: str) -> tuple[str, str]:
    name, equals, values = line.partition("=")
    if not equals or not values.strip():
        raise BadConfiguration(f"ranges: `{line}` is no range; write option=value, value or option=low..high")
    # Forms of earlier versions have lines of options that are retired.
    if name.strip() not in (*TrainOptions.model_fields, *TrainOptions.all_retired(), *OF_CLIPS):
        raise BadConfiguration(f"ranges: `{line}`: unknown option {name.strip()}")
    return name.strip(), values.strip()


def _distribution(name: str, text: str) -> BaseDistribution:
    if ".." not in text:
        choices = [_value(value.strip()) for value in text.split(",") if value.strip()]
        if not choices:
            raise BadConfiguration(f"ranges: `{name}={text}` has no value; write {name}=value, value or {name}=low..high")
        return CategoricalDistribution(choices)
    words = text.split()
    try:
        low, high = (_number(end) for end in words[0].split(".."))
        if words[1:] not in ([], ["log"]):
            raise ValueError
        is_log = words[1:] == ["log"]
        if isinstance(low, int) and isinstance(high, int) and TrainOptions.model_fields[name].annotation is int:
            return IntDistribution(low, high, log=is_log)
        return FloatDistribution(float(low), float(high), log=is_log)
    except ValueError:
        raise BadConfiguration(
            f"ranges: `{name}={text}` is no range; write low..high with the lower number first, and `log` behind it for a logarithmic scale, "
            "which needs numbers above 0"
        ) from None


def _number(text: str) -> int | float:
    value = _value(text)
    if isinstance(value, (str, bool)):
        raise ValueError(text)
    return value


def _value(text: str) -> Value:
    """Parse numbers, true and false as JSON; anything else is text."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, (bool, int, float)) else text


def _ends(distribution: BaseDistribution) -> Sequence[Value]:
    if isinstance(distribution, CategoricalDistribution):
        return [_plain(choice) for choice in distribution.choices]
    assert isinstance(distribution, (IntDistribution, FloatDistribution))  # noqa: S101 - `_distribution` makes no others
    return [distribution.low, distribution.high]


def _points(distribution: BaseDistribution) -> list[Value]:
    if isinstance(distribution, FloatDistribution):
        spaced = np.geomspace if distribution.log else np.linspace
        return [float(point) for point in spaced(distribution.low, distribution.high, GRID_POINTS)]
    if isinstance(distribution, IntDistribution):
        return list(range(distribution.low, distribution.high + 1))
    return list(_ends(distribution))


def _plain(choice: object) -> Value:
    assert isinstance(choice, (bool, int, float, str))  # noqa: S101 - `_value` makes no others
    return choice


def _refusal(base: TrainOptions, name: str, value: Value) -> str:
    """Say why a value contradicts the base recipe."""
    try:
        TrainOptions.model_validate(base.model_dump(mode="json") | {name: value})
    except ValidationError as error:
        return "; ".join(reason for _, reason in refusals(error, TrainOptions))
    return "no value of the other searched options fits it"


def _problems(name: str, value: Value) -> str:
    """Explain why no training, or no clip, can have this value, whatever the other options are."""
    model = SegmentOptions if name in OF_CLIPS else TrainOptions
    try:
        model.model_validate({name: value})
    except ValidationError as error:
        return "; ".join(reason for field, reason in refusals(error, model) if field)
    return ""

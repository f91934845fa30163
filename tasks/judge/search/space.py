"""Parse the ranges of a search, and complete suggested values to training options."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from pydantic import ValidationError

from tasks.errors import BadConfiguration
from tasks.keys import without_idle
from tasks.options import SearchOptions, TrainOptions
from tasks.options.base import refusals
from tasks.store.records.search import Value

EXCLUSIVE = ("family", "head", "modality", "backbone", "num_segments", "trainable")
"""Options with values that exclude one another."""

START_OPTIONS = {
    "family",
    "head",
    "backbone",
    "modality",
    "num_segments",
    "weights",
    "checkpoint",
    "backbone_weights",
    "flow_method",
    "seed",
}
"""Options that the start of a training depends on: its weights, and the specification beside them."""


@dataclass(frozen=True)
class Space:
    """The searched options with their ranges, over the base recipe that has all other options."""

    base: TrainOptions
    ranges: Mapping[str, BaseDistribution]

    @classmethod
    def of(cls, chosen: SearchOptions, base: TrainOptions) -> "Space":
        """Read the ranges of the searched options.

        Raises:
            BadConfiguration: a line is no range, a searched option has none, or no training can have one of its values.
        """
        lines = dict(_split(line) for line in chosen.ranges if line.strip())
        if missing := [name for name in chosen.search if name not in lines]:
            raise BadConfiguration(f"ranges: {', '.join(missing)} has no line; add one, as in `{missing[0]}=…`, or do not search it")
        if base.fuse:
            raise BadConfiguration("fuse: a search trains its networks; fuse them afterwards in retrain, by their runs/KEY/")
        space = cls(base, {name: _distribution(name, lines[name]) for name in sorted(set(chosen.search))})
        for name, distribution in space.ranges.items():
            for value in _ends(distribution):
                if problems := _problems(name, value):
                    raise BadConfiguration(f"ranges: `{name}={lines[name]}`: {problems}")
        return space

    def complete(self, values: Mapping[str, Value]) -> TrainOptions | None:
        """Complete suggested values to the options of a training; None if they contradict one another."""
        try:
            return without_idle(TrainOptions.model_validate({**self.base.model_dump(mode="json"), **values}))
        except ValidationError:
            return None

    @property
    def own(self) -> dict[str, Value]:
        """Return the values of the base recipe; they may lie outside the ranges."""
        values = self.base.model_dump(mode="json")
        return {name: values[name] for name in self.ranges}

    def untried(self) -> list[str]:
        """Name in a line each the values that no recipe of the space can have, and why."""
        listed = {name: _ends(distribution) for name, distribution in self.ranges.items() if name in EXCLUSIVE}
        recipes = [dict(zip(listed, values, strict=True)) for values in product(*listed.values())]
        tried = {choice for recipe in recipes if self.complete(self.own | recipe) for choice in recipe.items()}
        never = [(name, value) for name, values in listed.items() for value in values if (name, value) not in tried]
        return [f"{name}={value} is never tried: {_refusal(self.base, name, value)}" for name, value in never]


def _split(line: str) -> tuple[str, str]:
    name, equals, values = line.partition("=")
    if not equals or not values.strip():
        raise BadConfiguration(f"ranges: `{line}` is no range; write option=value, value or option=low..high")
    # Forms of earlier versions have lines of options that are retired.
    if name.strip() not in (*TrainOptions.model_fields, *TrainOptions.all_retired(), *SearchOptions.retired_values["search"]):
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
        if TrainOptions.model_fields[name].annotation is int and all(isinstance(end, int) or end.is_integer() for end in (low, high)):
            return IntDistribution(int(low), int(high), log=is_log)
        return FloatDistribution(float(low), float(high), log=is_log)
    except (ValueError, OverflowError):  # a whole number of hundreds of digits
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
    """Explain why no training can have this value, whatever the other options are."""
    try:
        TrainOptions.model_validate({name: value})
    except ValidationError as error:
        return "; ".join(reason for field, reason in refusals(error, TrainOptions) if field)
    return ""

"""Parse a search's ranges, and suggest its trials by TPE.

The sampler is seeded by the search and the round, so that every process suggests the same trials from the same results, without a database.
"""

import hashlib
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import product

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import TPESampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial
from pydantic import ValidationError

from tasks.errors import BadConfiguration
from tasks.keys import content_key, options_key, without_idle, without_later
from tasks.options import SearchOptions, TrainOptions
from tasks.options.base import refusals
from tasks.store.records.record import Target
from tasks.store.records.search import ScoredTrial, Trial, Value

EXCLUSIVE = ("family", "head", "modality", "backbone", "num_segments", "trainable")
"""Options with values that exclude one another."""

START_OPTIONS = {
    "family", "head", "backbone", "modality", "num_segments", "weights", "checkpoint", "backbone_weights", "flow_method", "seed",
}  # fmt: skip
"""Options that the start of a training depends on: its weights, and the specification beside them."""

MAX_ATTEMPTS = 50
"""Suggestions per wanted trial after which a round gives up. Such suggestions contradict themselves, or were made before."""
NUM_STARTUP_TRIALS = 5
"""Number of finished trials from which TPE learns. Optuna's default of 10 would leave a search of three small rounds to chance."""
SEARCH_SEED = 0
"""Seed of samplers and folds, beside the key of the search and the round."""
DIRECTIONS = (StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE)
"""Optimisation directions of top-1 and of latency."""

Suggestion = tuple[dict[str, Value], TrainOptions]
"""The searched values, and the complete options."""

MAX_HEADS, MIN_HEADS = 64, 8
"""Number of trials of heads per task. Starting a task takes several seconds, so long trainings share one, too."""
EPOCHS_PER_BATCH = 4000
"""Epochs of heads per task, all trials together: of long trainings, fewer share the retries and the time limit of a task."""


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
                # Whatever the other options are: without their contradictions.
                if reasons := [reason for field, reason in _refusals({name: value}) if field]:
                    raise BadConfiguration(f"ranges: `{name}={lines[name]}`: {'; '.join(reasons)}")
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
        """List the values that no recipe of the space can have, and why."""
        listed = {name: _ends(distribution) for name, distribution in self.ranges.items() if name in EXCLUSIVE}
        recipes = [dict(zip(listed, values, strict=True)) for values in product(*listed.values())]
        tried = {choice for recipe in recipes if self.complete(self.own | recipe) for choice in recipe.items()}
        never = [(name, value) for name, values in listed.items() for value in values if (name, value) not in tried]
        base = self.base.model_dump(mode="json")
        otherwise = "no value of the other searched options fits it"
        return [
            f"{name}={value} is never tried: {'; '.join(reason for _, reason in _refusals(base | {name: value})) or otherwise}"
            for name, value in never
        ]


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
        # Optuna's type has None, which `_value` never makes.
        return [choice for choice in distribution.choices if choice is not None]
    assert isinstance(distribution, (IntDistribution, FloatDistribution))  # noqa: S101 - `_distribution` makes no others
    return [distribution.low, distribution.high]


def _refusals(values: Mapping[str, object]) -> Sequence[tuple[str, str]]:
    """List why no training can have these values, each reason with its field.

    The field is empty where options contradict one another.
    """
    try:
        TrainOptions.model_validate(values)
    except ValidationError as error:
        return refusals(error, TrainOptions)
    return ()


def suggest(
    space: Space, chosen: SearchOptions, seed: int, earlier: Sequence[ScoredTrial], target: Target, num_trials: int
) -> list[Suggestion]:
    """Suggest `num_trials` new trials, or fewer if the space has no more.

    `seed` is that of `seed_of`.
    """
    known = {identity(trial.options) for trial in earlier}
    suggestions: list[Suggestion] = []
    with quiet():
        for values in _proposals(space, chosen, seed, earlier, target, num_trials):
            options = space.complete(values)
            if options is not None and (key := identity(options)) not in known:
                known.add(key)
                suggestions.append((values, options))
            if len(suggestions) == num_trials:
                break
    return suggestions


def pareto_front(trials: Sequence[ScoredTrial], target: Target) -> tuple[int, ...]:
    """List the trials, by number, that no other beats in top-1 and latency, if measured."""
    measured = [(trial.number, trial.scores[target].top1, trial.latency_seconds) for trial in trials if trial.latency_seconds is not None]
    return tuple(
        number
        for number, top1, seconds in measured
        if not any(other >= top1 and faster <= seconds and (other, faster) != (top1, seconds) for _, other, faster in measured)
    )


def num_objectives(chosen: SearchOptions) -> int:
    """Count the objectives: accuracy, and perhaps latency."""
    return 1 if chosen.objectives == "accuracy" else 2


def identity(options: TrainOptions) -> str:
    """Build the identity of a recipe, equal for equal recipes."""
    return content_key(options_key(options))


def seed_of(key: str, round_number: int) -> int:
    """Derive the seed of the sampler in a round of the search `key`."""
    return int.from_bytes(hashlib.sha256(f"{key}/{round_number}/{SEARCH_SEED}".encode()).digest()[:4], "big")


def _proposals(
    space: Space, chosen: SearchOptions, seed: int, earlier: Sequence[ScoredTrial], target: Target, num_trials: int
) -> Iterator[dict[str, Value]]:
    sampler = TPESampler(seed=seed, multivariate=True, n_startup_trials=NUM_STARTUP_TRIALS)
    study = optuna.create_study(directions=DIRECTIONS[: num_objectives(chosen)], sampler=sampler)
    study.add_trials([_frozen(trial, space.ranges, chosen, target) for trial in earlier if is_within(trial.values, space.ranges)])
    for _ in range(num_trials * MAX_ATTEMPTS):
        trial = study.ask(dict(space.ranges))
        values: dict[str, Value] = dict(trial.params)
        yield values
        if space.complete(values) is None:
            study.tell(trial, state=TrialState.FAIL)


def _frozen(trial: ScoredTrial, ranges: Mapping[str, BaseDistribution], chosen: SearchOptions, target: Target) -> FrozenTrial:
    create = partial(create_trial, params={name: trial.values[name] for name in ranges}, distributions=dict(ranges))
    if trial.failure is not None:
        return create(state=TrialState.FAIL)
    measured = [trial.scores[target].top1, *([] if trial.latency_seconds is None else [trial.latency_seconds])]
    return create(values=measured[: num_objectives(chosen)])


def is_within(values: Mapping[str, Value], ranges: Mapping[str, BaseDistribution]) -> bool:
    """Check whether a trial's values lie within their ranges; the form's own recipe may not."""
    for name, distribution in ranges.items():
        value = values[name]
        if isinstance(distribution, (IntDistribution, FloatDistribution)):
            if isinstance(value, str) or not distribution.low <= value <= distribution.high:
                return False
        elif isinstance(distribution, CategoricalDistribution) and value not in distribution.choices:
            return False
    return True


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Optuna's log lines, and its warnings that an API may change."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)


def history_digest(earlier: Sequence[ScoredTrial]) -> str:
    """Hash the history that suggestions follow from, without the reasons of failures."""
    # `views_seed` is later than the other options, and equal in all trials; the digests of older searches stay.
    keyed = [without_later(trial.options.keyed(exclude={"views_seed"}), type(trial.options)) for trial in earlier]
    changes = [{"options": options, "failure": trial.failure is not None} for options, trial in zip(keyed, earlier, strict=True)]
    return content_key({"trials": [trial.model_dump(mode="json") | change for trial, change in zip(earlier, changes, strict=True)]})


def num_suggested(chosen: SearchOptions, number: int, num_earlier: int) -> int:
    """Compute the size of round `number`, from 1, making up for what earlier rounds lack."""
    return -(-(chosen.num_trials - num_earlier) // (chosen.rounds - number + 1))


def batches_of(trials: Sequence[Trial]) -> list[tuple[Trial, ...]]:
    """Divide a round's trials into batches: several head trainings, fewer if long, or one backbone."""
    heads = [trial for trial in trials if trial.options.trainable == "heads"]
    longest = max((trial.options.epochs for trial in heads), default=1)
    size = min(MAX_HEADS, max(MIN_HEADS, EPOCHS_PER_BATCH // longest))
    cut = [tuple(heads[start : start + size]) for start in range(0, len(heads), size)]
    return cut + [(trial,) for trial in trials if trial.options.trainable != "heads"]

"""Report whether the validation error of a long training falls a second time."""

from dataclasses import dataclass

from tasks.judge.report.figures.long_training import long_chart
from tasks.judge.report.figures.svg import Chart
from tasks.store.records.long_training import ErrorChange, LongTraining
from tasks.store.records.metrics import Metrics
from tasks.wording import count, listed, p_value, percent, percent_interval, signed


@dataclass(frozen=True)
class LongSection:
    """The section's sentence, drawing and note."""

    sentence: str
    chart: Chart
    note: str


def long_section(metrics: Metrics) -> LongSection | None:
    """Make the section; None for any other training."""
    found = metrics.long_training
    if found is None:
        return None
    return LongSection(sentence_of(found), long_chart(found, metrics.epochs), _note(found, metrics))


def sentence_of(found: LongTraining) -> str:
    """State the outcome in one sentence.

    The page counts epochs from 1.
    """
    sample = f"on {count(found.num_clips, 'val clip')} of {count(found.num_sources, 'source video')}"
    errors = {score.epoch: score.error for score in found.scores}
    if found.rise is None or found.fall is None or found.gain is None:
        lowest = min(found.scores, key=lambda score: (score.error, score.epoch))
        return (
            f"No second descent is seen: {sample} the error of {found.target}s is lowest after {_epoch(lowest.epoch)} ({percent(lowest.error)}) "
            f"and never falls after a rise, from epoch 1 to {_epoch(found.scores[-1].epoch)}."
        )
    first, peak, second = (
        f"{percent(errors[epoch])} after {_epoch(epoch)}"
        for epoch in (found.rise.first_epoch, found.rise.second_epoch, found.fall.second_epoch)
    )
    if found.outcome == "second descent":
        return (
            f"A second descent: {sample} the error of {found.target}s rises from {first} to {peak} ({_in_words(found.rise)}) and falls again "
            f"to {second} ({_in_words(found.fall)}); {_against_first(found.gain)}."
        )
    by_chance = listed([name for name, change in (("rise", found.rise), ("fall", found.fall)) if not change.is_significant])
    return (
        f"The data cannot tell whether there is a second descent: {sample} the error of {found.target}s goes from {first} to {peak} "
        f"({_in_words(found.rise)}) and to {second} ({_in_words(found.fall)}); chance may explain the {by_chance}."
    )


def _epoch(epoch: int) -> str:
    return f"epoch {epoch + 1:,}"


def _in_words(change: ErrorChange) -> str:
    interval = percent_interval(change.interval)
    return f"{signed(change.difference)} points, 95 % confidence interval {interval}, corrected {p_value(change.p_value)}"


def _against_first(gain: ErrorChange) -> str:
    if not gain.is_significant:
        return f"the second minimum cannot be told from the first ({_in_words(gain)})"
    return f"the second minimum is {'lower' if gain.difference < 0 else 'higher'} than the first ({_in_words(gain)})"


def _note(found: LongTraining, metrics: Metrics) -> str:
    options = metrics.provenance.train
    fitted = "The training error never reached 0"
    if options.mixup:
        fitted = "With mixup there is no training error, because a mixed clip has no one right class"
    elif found.fitted_epoch is not None:
        fitted = f"The training error is first 0 in {_epoch(found.fitted_epoch)}"
    pairs = len(found.scores) * (len(found.scores) - 1) // 2
    return (
        f"{fitted}. It is counted during the epoch, while the weights change{', on the altered labels' if options.label_noise else ''}. "
        "Dots are the epochs whose heads were kept; the band is their 95 % confidence interval over source videos. Minima and peak are chosen "
        f"among them, and p-values are corrected for all {count(pairs, 'pair')} (Holm). Epoch-wise double descent: Nakkiran et al. 2019, arXiv 1912.02292."
    )

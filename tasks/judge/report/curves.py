"""Show learning curves and long trainings: do more labels help, does the error descend twice?"""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullLocator

from tasks.judge.gate.verdict import is_absent
from tasks.judge.report import style
from tasks.judge.report.page_charts import WHOLE, mark_epoch
from tasks.judge.report.style import Chart, Style
from tasks.store.records.curves import CurveGain, ErrorChange, LearningCurveResult, LongTraining, TargetCurve
from tasks.store.records.metrics import Metrics
from tasks.store.records.training import Epoch
from tasks.wording import count, listed, minus, p_value, percent, percent_interval, signed

MULTIPLES = {2: "twice", 4: "four times"}
HARDLY_POINTS = 2
"""Gain below which more labels hardly help, in points as they are printed."""
FEW_SOURCES = 5

EQUAL = {
    "epochs": "Each training takes as many epochs as the one on all clips, as yours would.",
    "steps": "Each training takes about as many steps as the one on all clips, so the gain of a recipe with a fixed number of epochs may be larger.",
}
LONG_SIZE = (560, 430)
BAND_OPACITY = 0.16
CURVE_SIZE = (560, 330)
ROOM_FACTOR = 1.12
"""Factor by which the logarithmic axis goes beyond the outermost points."""


@dataclass(frozen=True)
class CurveSection:
    """A learning curve on the page; `rows` have target, training clips, gain, interval and top-1."""

    answer: str
    chart: Chart
    rows: tuple[tuple[str, ...], ...]
    unknown: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class LongSection:
    """A long training on the page."""

    sentence: str
    chart: Chart
    note: str


def curve_section(result: LearningCurveResult) -> CurveSection:
    """Show a learning curve, the deciding target first."""
    *others, decisive = result.curves
    return CurveSection(
        answer=curve_answer(result),
        chart=learning_curve_chart(decisive),
        rows=tuple(_gain_row(curve, gain) for curve in reversed(result.curves) for gain in curve.gains),
        unknown=tuple(
            f"{curve.target.capitalize()}s: {curve.unknown[0].lower()}{curve.unknown[1:]}"
            for curve in others
            if curve.unknown and curve.unknown != decisive.unknown
        ),
        notes=(_training_note(result), _caveats(result)),
    )


def curve_answer(result: LearningCurveResult) -> str:
    """Answer in one or two sentences whether more labels would help on the deciding target."""
    curve = result.curves[-1]
    if curve.unknown:
        return f"The data cannot tell whether more labels would help. {curve.unknown}"
    twice = next(gain for gain in curve.gains if gain.times == 2)
    low, high = twice.interval
    if _points(low) > 0:
        answer = "More labels would help."
    elif _points(high) < HARDLY_POINTS:
        answer = "More labels would hardly help."
    elif _points(high) >= _points(1 - curve.points[-1].top1):
        answer = "The data cannot tell whether more labels would help: anything from no gain to no error left is possible."
    else:
        answer = "More labels may help."
    sentence = listed([f"{MULTIPLES[gain.times]} as many clips: {in_points(gain)}" for gain in curve.gains])
    kind = "intervals without a confidence level: classes still arrive" if has_new_classes(curve) else "95 % confidence intervals"
    return f"{answer} {sentence[0].upper()}{sentence[1:]} of {curve.target} top-1 on val ({kind})."


def has_new_classes(curve: TargetCurve) -> bool:
    """Check whether classes still arrive: half of the training clips lacks one or more."""
    return curve.new_classes is not None and curve.new_classes >= 1


def in_points(gain: CurveGain) -> str:
    """Format a gain in whole points: `+4 points [0, 9]`."""
    low, high = map(_points, gain.interval)
    return minus(f"{_points(gain.gain):+d} {'point' if abs(_points(gain.gain)) == 1 else 'points'} [{low}, {high}]")


def _points(share: float) -> int:
    return round(100 * share)


def _gain_row(curve: TargetCurve, gain: CurveGain) -> tuple[str, ...]:
    fitted = next(point for point in curve.fit if point.num_clips == gain.num_clips)
    clips = f"{gain.num_clips:,} ({MULTIPLES[gain.times]})"
    return curve.target, clips, signed(gain.gain), percent_interval(gain.interval), percent(fitted.top1)


def _training_note(result: LearningCurveResult) -> str:
    """Say what was trained on which clips."""
    heads, unlike = "Heads were trained by the recipe of this run", ""
    if result.recipe != "own":
        heads = (
            "This run trains more than the heads, which takes too long for a curve: heads alone were trained by the recipe of preset light on the "
            "frozen backbone of the run's initial weights"
        )
        unlike = " The network itself may gain more or less."
    if result.num_epochs < result.num_asked_epochs:
        heads += f", for {result.num_epochs:,} instead of {result.num_asked_epochs:,} epochs"
    drawn = f"of {count(result.num_sources, 'source video')}, drawn by whole videos; the last is cut"
    if result.num_sources == 1:
        drawn = "all of one source video, so what clips of other videos would add does not show"
    clips = count(result.num_clips, "training clip")
    return f"{heads}, on shares of {clips}, {drawn}; {result.num_draws} draws for each share. {EQUAL[result.equal]}{unlike}"


def _caveats(result: LearningCurveResult) -> str:
    """Say what the figures rest on."""
    curve = result.curves[-1]
    sentences = [
        f"Scored on {count(result.num_val_clips, 'val clip')} of {count(result.num_val_sources, 'source video')}"
        f"{', few enough to make intervals wide' if 1 < result.num_val_sources < FEW_SOURCES else ''}."
    ]
    if curve.gains:
        sentences.append(
            "With all training clips, all draws are of the same clips. So the interval is for the average over training sets of this size, and leaves out "
            "how lucky this one is."
        )
        sentences.append(
            "The extrapolation is a power law with a floor. It holds for further clips like these, of as many clips per video; a new kitchen or rare "
            "classes may gain more, and labels of other quality less."
        )
    num_below = sum(point.top1 <= curve.majority_top1 for point in curve.points)
    if num_below == len(curve.points):
        sentences.append("No share beats always predicting the most frequent class yet, where a curve says little about the next clips.")
    elif num_below:
        sentences.append("The law is fitted to the shares that beat always predicting the most frequent class.")
    if has_new_classes(curve):
        sentences.append(
            f"Half of the training clips lacks {curve.new_classes:.0f} of the classes of all, so more clips bring more classes, which val does not have yet."
        )
    return " ".join(sentences)


def long_section(metrics: Metrics) -> LongSection | None:
    """Show a long training; None for any other training."""
    training = metrics.long_training
    if training is None:
        return None
    return LongSection(sentence_of(training), long_chart(training, metrics.epochs), _long_note(training, metrics))


def sentence_of(training: LongTraining) -> str:
    """State the outcome in one sentence; the page counts epochs from 1."""
    sample = f"on {count(training.num_clips, 'val clip')} of {count(training.num_sources, 'source video')}"
    errors = {score.epoch: score.error for score in training.scores}
    last = training.scores[-1]
    reach = (last.interval[0] - last.error, last.interval[1] - last.error)
    if training.rise is None or training.fall is None or training.gain is None:
        if not is_absent("second descent", reach):
            return (
                f"The data cannot tell whether there is a second descent: {sample} the error of {training.target}s is known only within "
                f"{percent_interval(last.interval)} % at the end."
            )
        lowest = min(training.scores, key=lambda score: (score.error, score.epoch))
        return (
            f"No second descent is seen: {sample} the error of {training.target}s is lowest after {_epoch_name(lowest.epoch)} ({percent(lowest.error)}) "
            f"and never falls after a rise, from epoch 1 to {_epoch_name(last.epoch)}."
        )
    first, peak, second = (
        f"{percent(errors[epoch])} after {_epoch_name(epoch)}"
        for epoch in (training.rise.first_epoch, training.rise.second_epoch, training.fall.second_epoch)
    )
    if training.outcome == "second descent":
        is_lower = training.gain.difference < 0
        against_first = (
            f"is {'lower' if is_lower else 'higher'} than the first"
            if training.gain.is_significant
            else "does not differ significantly from the first"
        )
        return (
            f"A second descent: {sample} the error of {training.target}s rises from {first} to {peak} ({_change_in_words(training.rise)}) and falls again "
            f"to {second} ({_change_in_words(training.fall)}); the second minimum {against_first} ({_change_in_words(training.gain)})."
        )
    by_chance = listed([name for name, change in (("rise", training.rise), ("fall", training.fall)) if not change.is_significant])
    return (
        f"The data cannot tell whether there is a second descent: {sample} the error of {training.target}s goes from {first} to {peak} "
        f"({_change_in_words(training.rise)}) and to {second} ({_change_in_words(training.fall)}); chance may explain the {by_chance}."
    )


def _epoch_name(epoch: int) -> str:
    return f"epoch {epoch + 1:,}"


def _change_in_words(change: ErrorChange) -> str:
    interval = percent_interval(change.interval)
    return f"{signed(change.difference)} points, 95 % confidence interval {interval}, corrected {p_value(change.p_value)}"


def _long_note(training: LongTraining, metrics: Metrics) -> str:
    options = metrics.provenance.train
    fitted = "The training error never reached 0"
    if training.fitted_epoch is not None:
        fitted = f"The training error is first 0 in {_epoch_name(training.fitted_epoch)}"
    pairs = len(training.scores) * (len(training.scores) - 1) // 2
    return (
        f"{fitted}. It is counted during the epoch, while the weights change{', on the altered labels' if options.label_noise else ''}. "
        "Dots are the epochs whose heads were kept; the band is their 95 % confidence interval over source videos. Minima and peak are chosen "
        f"among them, and p-values are corrected for all {count(pairs, 'pair')} (Holm). Epoch-wise double descent: Nakkiran et al. 2019, arXiv 1912.02292."
    )


def long_chart(training: LongTraining, epochs: Sequence[Epoch]) -> Chart:
    """Draw errors and validation loss over a logarithmic axis of epochs."""
    title = f"Error of {training.target}s and validation loss"
    train, val = (
        [(e.epoch + 1, 1 - top1) for e in epochs if (top1 := getattr(e, f"{split}_{training.target}_top1")) is not None]
        for split in ("train", "val")
    )
    loss = [(e.epoch + 1, e.val_loss) for e in epochs if e.val_loss is not None]
    kept = [score.epoch + 1 for score in training.scores]
    with matplotlib.rc_context(style.PAGE_STYLE):
        figure = style.new_drawing(*LONG_SIZE)
        errors, losses = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        for axes, points, name, colour, dashes in (
            (errors, train, "training error", style.ORANGE, "--"),
            (errors, val, "validation error", style.BLUE, "-"),
            (losses, loss, "validation loss", style.PURPLE, "-"),
        ):
            if points:
                axes.plot(*zip(*points, strict=True), label=name, color=colour, linestyle=dashes, linewidth=1.5)
        _draw_band(errors, kept, [score.interval for score in training.scores], style.BLUE)
        dots = [score.error for score in training.scores]
        errors.plot(kept, dots, color=style.BLUE, linestyle="none", marker="o", markersize=6, markeredgecolor=style.PAGE, gid="kept")
        spoken = {"kept": [f"epoch {s.epoch + 1:,}: {percent(s.error)} {percent_interval(s.interval)}" for s in training.scores]}
        if training.fitted_epoch is not None:
            number = training.fitted_epoch + 1
            errors.axvline(number, color=style.INK, linewidth=1, linestyle=style.SHORT_DASHES)
            mark_epoch(losses, number, f"training error 0: {number:,}", on_right=number**2 > kept[-1])
        turns = _mark_turns(errors, training)
        _scale_long(errors, losses, training, [y for _, y in (*train, *val)])
        style.add_legend(figure)
        words = f"Validation error by epoch, with 95 % confidence intervals: {'; '.join(spoken['kept'])}. {turns}"
        return style.chart(figure, LONG_SIZE[0] + 140, "long-training", title, words, spoken)


def _draw_band(axes: Axes, x: Sequence[int], intervals: Sequence[tuple[float, float]], colour: str) -> None:
    low, high = zip(*intervals, strict=True)
    axes.fill_between(x, low, high, color=colour, alpha=BAND_OPACITY, linewidth=0)


def _mark_turns(axes: Axes, training: LongTraining) -> str:
    """Label both minima and the peak in the drawing; return them as a sentence."""
    if training.rise is None or training.fall is None:
        return ""
    turns = (("1st minimum", training.rise.first_epoch), ("peak", training.rise.second_epoch), ("2nd minimum", training.fall.second_epoch))
    intervals = {score.epoch: score.interval for score in training.scores}
    last = training.scores[-1].epoch + 1
    for name, epoch in turns:
        number, (low, high) = epoch + 1, intervals[epoch]
        side = "left" if number**4 < last else "right" if number**4 > last**3 else "center"
        y, offset, below = (high, 5, "bottom") if name == "peak" else (low, -5, "top")
        axes.annotate(f"{name}: {number:,}", (number, y), (0, offset), textcoords="offset points", ha=side, va=below)
    return f"{', '.join(f'{name} epoch {epoch + 1:,}' for name, epoch in turns)}."


def _scale_long(errors: Axes, losses: Axes, training: LongTraining, drawn: Sequence[float]) -> None:
    top = max(*drawn, *(score.interval[1] for score in training.scores))
    errors.set_ylim(min(0, *(score.interval[0] for score in training.scores)), min(1.08, 1.15 * top) or 1)
    errors.set_ylabel("error, %")
    errors.yaxis.set_major_formatter(style.PERCENT)
    losses.set_ylim(0)
    losses.set(xlabel="epoch", ylabel="loss, nats", xscale="log", xlim=(1, training.scores[-1].epoch + 1))
    losses.xaxis.set_major_locator(LogLocator(10))
    losses.xaxis.set_minor_locator(NullLocator())
    losses.xaxis.set_major_formatter(WHOLE)
    for axes in (errors, losses):
        style.round_ticks(axes.yaxis, 5)
        axes.grid(axis="y")


def learning_curve_chart(curve: TargetCurve) -> Chart:
    """Draw a learning curve: single draws, their mean, and the extrapolated law.

    The mean's band is over source videos; the law's is that of the gain.
    """
    title = f"{curve.target.capitalize()} top-1 on val by number of training clips"
    numbers = [point.num_clips for point in curve.points]
    draws = [(point.num_clips, top1) for point in curve.points for top1 in point.draws]
    spoken = {
        "draws": [f"{count(number, 'clip')}: {percent(top1)}" for number, top1 in draws],
        "means": [f"{count(p.num_clips, 'clip')}: mean {percent(p.top1)} {percent_interval(p.interval)}" for p in curve.points],
    }
    dots: Style = {"marker": "o", "markeredgecolor": style.PAGE, "clip_on": False}
    with style.axes_of(CURVE_SIZE) as (figure, axes):
        style.add_majority(axes, curve.majority_top1, "most frequent class")
        _draw_band(axes, numbers, [point.interval for point in curve.points], style.BLUE)
        axes.plot(*zip(*draws, strict=True), color=style.GREY, linestyle="none", markersize=5, gid="draws", label="single draws", **dots)
        means = [point.top1 for point in curve.points]
        axes.plot(numbers, means, color=style.BLUE, linewidth=1.8, markersize=7, gid="means", label="mean", **dots)
        if curve.fit:
            fitted = [(point.num_clips, point.top1) for point in curve.fit]
            axes.plot(*zip(*fitted, strict=True), color=style.ORANGE, linewidth=1.8, linestyle="--", label="power law")
            beyond = [(point.num_clips, point.interval) for point in curve.fit if point.interval]
            _draw_band(axes, [number for number, _ in beyond], [interval for _, interval in beyond], style.ORANGE)
        ticks = [*numbers, *(gain.num_clips for gain in curve.gains)]
        axes.set(xscale="log", xlim=(ticks[0] / ROOM_FACTOR, ticks[-1] * ROOM_FACTOR), ylim=(0, 1))
        axes.set(xlabel="training clips", ylabel=f"{curve.target} top-1, %")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticks(ticks)
        axes.xaxis.set_major_formatter(WHOLE)
        style.value_axis(axes)
        style.add_legend(figure, ncols=4, handlelength=2.2, columnspacing=1.2)
        words = _curve_in_words(curve, spoken["means"])
        return style.chart(figure, CURVE_SIZE[0] + 140, "learning-curve", title, words, spoken)


def _curve_in_words(curve: TargetCurve, means: list[str]) -> str:
    at = {point.num_clips: point for point in curve.fit}
    beyond = [
        f"{count(gain.num_clips, 'clip')}: {percent(fitted.top1)} {percent_interval(fitted.interval)}"
        for gain in curve.gains
        if (fitted := at[gain.num_clips]).interval
    ]
    extrapolated = f" Extrapolated, with the 95 % confidence interval of the gain: {'; '.join(beyond)}." if beyond else ""
    return (
        f"With 95 % confidence intervals over source videos: {'; '.join(means)}.{extrapolated} "
        f"The dashed grey line is always predicting the most frequent {curve.target}: {percent(curve.majority_top1)}."
    )

"""Report whether more labels would help."""

from dataclasses import dataclass

from tasks.judge.report.figures.learning_curve import learning_curve_chart
from tasks.judge.report.figures.svg import Chart
from tasks.store.records.learning_curve import CurveGain, LearningCurveResult, TargetCurve
from tasks.store.records.record import Target
from tasks.wording import count, listed, percent, percent_interval, signed

MULTIPLES = {2: "twice", 4: "four times"}
HARDLY_POINTS = 2
"""Gain below which more labels hardly help, in points as they are printed."""
FEW_SOURCES = 5


@dataclass(frozen=True)
class GainRow:
    """One row of the table: a target at a multiple of the training clips."""

    target: Target
    clips: str
    gain: str
    interval: str
    top1: str


@dataclass(frozen=True)
class CurveSection:
    """The section's answer, drawing, table and notes."""

    answer: str
    chart: Chart
    rows: tuple[GainRow, ...]
    unknown: tuple[str, ...]
    notes: tuple[str, ...]


def curve_section(result: LearningCurveResult) -> CurveSection:
    """Make the section."""
    decisive = result.curves[-1]
    return CurveSection(
        answer=answer_of(result),
        chart=learning_curve_chart(decisive),
        rows=tuple(_row(curve, gain) for curve in reversed(result.curves) for gain in curve.gains),
        unknown=tuple(
            f"{curve.target.capitalize()}s: {curve.unknown}"
            for curve in result.curves[:-1]
            if curve.unknown not in (None, decisive.unknown)
        ),
        notes=(_training_note(result), _caveats(result)),
    )


def answer_of(result: LearningCurveResult) -> str:
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
    told = listed([f"{MULTIPLES[gain.times]} as many clips: {in_points(gain)}" for gain in curve.gains])
    return f"{answer} {told[0].upper()}{told[1:]} of {curve.target} top-1 on val (95 % confidence intervals)."


def in_points(gain: CurveGain) -> str:
    """Format a gain in whole points: `+4 points [0, 9]`."""
    low, high = map(_points, gain.interval)
    return f"{_points(gain.gain):+d} {'point' if _points(gain.gain) == 1 else 'points'} [{low}, {high}]"


def _points(share: float) -> int:
    return round(100 * share)


def _row(curve: TargetCurve, gain: CurveGain) -> GainRow:
    fitted = next(one for one in curve.fit if one.num_clips == gain.num_clips)
    return GainRow(
        target=curve.target,
        clips=f"{gain.num_clips:,} ({MULTIPLES[gain.times]})",
        gain=signed(gain.gain),
        interval=percent_interval(gain.interval),
        top1=percent(fitted.top1),
    )


def _training_note(result: LearningCurveResult) -> str:
    """Say what was trained on which clips."""
    heads = (
        "Heads were trained by the recipe of this run"
        if result.recipe == "own"
        else "This run trains more than the heads, which takes too long for a curve: heads alone were trained by the recipe of preset light on the "
        "frozen backbone of the run's initial weights"
    )
    shortened = (
        f", for {result.num_epochs:,} instead of {result.num_asked_epochs:,} epochs" if result.num_epochs < result.num_asked_epochs else ""
    )
    unlike = "" if result.recipe == "own" else " The network itself may gain more or less."
    drawn = (
        "all of one source video, so what clips of other videos would add does not show"
        if result.num_sources == 1
        else f"of {count(result.num_sources, 'source video')}, drawn by whole videos of which the last is cut"
    )
    return (
        f"{heads}{shortened}, on shares of {count(result.num_clips, 'training clip')}, {drawn}; {result.num_draws} draws for each share. "
        "Each training takes about as many steps as the one on all clips, so the curve shows the effect of clips and not of training time."
        f"{unlike}"
    )


def _caveats(result: LearningCurveResult) -> str:
    """Say what the figures rest on."""
    curve = result.curves[-1]
    told = [
        f"Scored on {count(result.num_val_clips, 'val clip')} of {count(result.num_val_sources, 'source video')}"
        f"{', few enough to make intervals wide' if 1 < result.num_val_sources < FEW_SOURCES else ''}.",
        "The epoch that each training kept was selected on these clips, too, so all points are a little high.",
    ]
    if curve.gains:
        told.append(
            "With all training clips, all draws are of the same clips. So the interval is for the average over training sets of this size, and leaves out "
            "how lucky this one is."
        )
        told.append(
            "The extrapolation is a power law with a floor. It holds for further clips like these, of as many clips per video; a new kitchen or rare "
            "classes may gain more, and labels of other quality less."
        )
    if max(point.top1 for point in curve.points) <= curve.majority_top1:
        told.append("No share beats always predicting the most frequent class yet, where a curve says little about the next clips.")
    return " ".join(told)

"""Line charts as geometry, which a template draws as SVG in the page's own colours."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tasks.evaluation.wording import count, percent
from tasks.results.metrics import Calibration
from tasks.results.record import ModelRole
from tasks.results.training import Epoch

Shape = Literal["circle", "square", "triangle", "diamond"]
WIDTH, LEFT, RIGHT, TOP, BOTTOM = 480, 46, 20, 12, 42
LOOKS: dict[ModelRole, tuple[int, Shape]] = {"baseline": (0, "square"), "champion": (1, "triangle"), "fine-tuned": (2, "circle")}
Line = tuple[str, Sequence[tuple[int, float | None]]]
MAX_MARKS = 20
MAX_MARK_RADIUS = 9.0


@dataclass(frozen=True)
class Tick:
    """A place on an axis, in units of the drawing, and what stands there."""

    at: float
    label: str


@dataclass(frozen=True)
class Mark:
    """A point in units of the drawing; `title` tells its numbers."""

    x: float
    y: float
    radius: float
    title: str


@dataclass(frozen=True)
class Series:
    """One line: its colour is that of the `tone`-th series, its marks have a shape, so that colour is not needed to tell lines apart."""

    name: str
    tone: int
    shape: Shape
    path: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class Chart:
    """A drawing of `width` by `height` units; `kept` is the x of a vertical line, `has_diagonal` draws the line of equal x and y."""

    title: str
    description: str
    x_label: str
    y_label: str
    height: int
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    series: tuple[Series, ...]
    kept: Tick | None = None
    has_diagonal: bool = False
    width: int = WIDTH

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the plotted area."""
        return LEFT, TOP, self.width - RIGHT, self.height - BOTTOM


def training_charts(epochs: Sequence[Epoch], best_epoch: int) -> tuple[Chart, ...]:
    """Losses, and validation accuracies where any epoch was validated; none without epochs."""
    if not epochs:
        return ()
    losses: list[Line] = [
        ("training", [(e.epoch, e.train_loss) for e in epochs]),
        ("validation", [(e.epoch, e.val_loss) for e in epochs]),
    ]
    accuracies: list[Line] = [(f"{t}s", [(e.epoch, getattr(e, f"val_{t}_top1")) for e in epochs]) for t in ("verb", "noun", "action")]
    top = max(value for _, line in losses for _, value in line if value is not None)
    charts = [_by_epoch("Loss", "loss, nats", losses, best_epoch, top)]
    if any(value is not None for _, line in accuracies for _, value in line):
        charts.append(_by_epoch("Validation top-1, centre crop", "top-1, %", accuracies, best_epoch, 1.0))
    return tuple(charts)


def reliability_chart(title: str, calibrations: Sequence[tuple[ModelRole, Calibration]]) -> Chart:
    """Accuracy over confidence, a mark a bin whose area grows with its clips; on the diagonal a probability means what it says."""
    height, size = 360, 360 - TOP - BOTTOM
    width = LEFT + size + RIGHT
    most = max((b.num_clips for _, c in calibrations for b in c.bins), default=1) or 1
    ticks = [i / 4 for i in range(5)]
    series = []
    for role, calibration in calibrations:
        filled = [b for b in calibration.bins if b.num_clips]
        marks = tuple(
            Mark(
                x=round(LEFT + size * b.mean_confidence, 1),
                y=round(TOP + size * (1 - b.accuracy), 1),
                radius=round(max(3.0, MAX_MARK_RADIUS * math.sqrt(b.num_clips / most)), 1),
                title=f"{role}: {count(b.num_clips, 'clip')}, mean confidence {percent(b.mean_confidence)}, right {percent(b.accuracy)}",
            )
            for b in filled
        )
        tone, shape = LOOKS[role]
        series.append(Series(role, tone, shape, _path([(m.x, m.y) for m in marks]), marks))
    spoken = "; ".join(mark.title for line in series for mark in line.marks) or "no clips"
    return Chart(
        title=title,
        description=f"Accuracy over confidence. {spoken}.",
        x_label="confidence, %",
        y_label="right, %",
        height=height,
        width=width,
        x_ticks=tuple(Tick(round(LEFT + size * t, 1), f"{100 * t:.0f}") for t in ticks),
        y_ticks=tuple(Tick(round(TOP + size * (1 - t), 1), f"{100 * t:.0f}") for t in ticks),
        series=tuple(series),
        has_diagonal=True,
    )


def _by_epoch(title: str, y_label: str, lines: Sequence[Line], best: int, top: float) -> Chart:
    height = 270
    in_percent = y_label.endswith("%")
    first, last = min(x for _, line in lines for x, _ in line), max(x for _, line in lines for x, _ in line)
    span = max(last - first, 1)
    top = top or 1.0

    def at(x: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * ((x - first) / span if last > first else 0.5), 1)

    def up(y: float) -> float:
        return round(TOP + (height - TOP - BOTTOM) * (1 - y / top), 1)

    if not in_percent:
        top = math.ceil(top / nice_step(top)) * nice_step(top)
    step = nice_step(top)
    y_values = [i * step for i in range(int(top / step + 1e-9) + 1)]
    digits = max(0, -math.floor(math.log10(step)))
    series = []
    for i, (name, line) in enumerate(lines):
        known = [(x, y) for x, y in line if y is not None]
        every = 1 + len(known) // MAX_MARKS
        shape: Shape = ("square", "circle", "diamond", "triangle")[i % 4]
        marks = tuple(Mark(at(x), up(y), 3.2, f"{name}, epoch {x}: {percent(y) if in_percent else f'{y:.3f}'}") for x, y in known[::every])
        if known:
            series.append(Series(name, i, shape, _path([(at(x), up(y)) for x, y in known]), marks))
    spoken = "; ".join(f"{s.name} ends at {s.marks[-1].title.rsplit(': ', 1)[1]}" for s in series)
    x_step = max(1, round(nice_step(span)))
    x_values = sorted({first, *(x for x in range(first, last + 1) if x % x_step == 0 and x - first >= x_step / 2)})
    return Chart(
        title=title,
        description=f"By epoch, {first} to {last}: {spoken}. The kept epoch is {best}.",
        x_label="epoch",
        y_label=y_label,
        height=height,
        x_ticks=tuple(Tick(at(x), str(x)) for x in x_values),
        y_ticks=tuple(Tick(up(y), f"{100 * y:.0f}" if in_percent else f"{y:.{digits}f}") for y in y_values),
        series=tuple(series),
        kept=Tick(at(best), f"kept: {best}") if first <= best <= last else None,
    )


def nice_step(top: float, most: int = 6) -> float:
    """The smallest of 1, 2, 2.5 and 5 times a power of ten that cuts 0 to `top`, which is positive, into at most `most` parts."""
    power = 10.0 ** math.floor(math.log10(top / most))
    return next(power * m for m in (1, 2, 2.5, 5, 10) if power * m * most >= top * (1 - 1e-9))


def _path(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in points)

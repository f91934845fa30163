"""Draw the pictures that steps store: confusion matrices, losses, histograms, contact sheets and spectrograms.

Equal data give equal bytes under one version of matplotlib.

Legend: n clips.
"""

import io
import math
from collections import defaultdict
from collections.abc import Mapping

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from PIL import Image

from tasks.data.split.manifest import class_counts
from tasks.judge.report.style import STYLE, TEXT_COLOUR, new_figure, png, short
from tasks.judge.statistics.answers import Answers, answers_of
from tasks.judge.statistics.mistakes import Confusion
from tasks.judge.statistics.scoring import ScoredClips
from tasks.store.records.dataset import Manifest, Vocabulary
from tasks.store.records.record import SPLITS, SplitName, Target
from tasks.wording import plain_count

# Okabe and Ito's palette, which colour-blind readers can distinguish.
BLUE, ORANGE, VERMILION, SKY, GREEN, GREY = "#0072B2", "#E69F00", "#D55E00", "#56B4E9", "#009E73", "#9A9A9A"
MAX_ROWS = 30
NUM_WORST = 8
# (verb correct, noun correct): legend, colour, marker.
KINDS = {
    (True, True): ("action correct", BLUE, "o"),
    (True, False): ("verb correct", SKY, "^"),
    (False, True): ("noun correct", ORANGE, "s"),
    (False, False): ("both wrong", VERMILION, "X"),
}

KINDS_OF_VERBS = {(True, True): ("correct", BLUE, "o"), (False, True): ("wrong", VERMILION, "X")}
"""Without objects every noun counts as correct."""

# Inches per cell by number of columns: large cells have room for count and percent, small ones only for the percent.
CELL_INCHES = ((6, 0.85), (12, 0.62), (20, 0.46), (99, 0.36))
TWO_LINES_INCHES = 0.45
COLOURS: dict[SplitName, str] = {"train": BLUE, "val": ORANGE, "test": GREEN}
TITLES: dict[Target, str] = {"verb": "Verbs", "noun": "Nouns", "action": "Actions"}
MAX_CLASSES = 60
FRAME_WIDTH = 160
GAP = 2


def clip_loss_figure(clips: ScoredClips, vocabulary: Vocabulary, title: str) -> bytes:
    """Draw each clip's loss, one row per true action, as PNG bytes.

    Hardest first; the worst clips are numbered and listed. Actions beyond the 30 most frequent share a last row. A dashed line marks the
    loss of uniform probabilities, if in range.

    Args:
        clips: scored clips, at least one, all of classes that the network can predict.
    """
    answers = answers_of(clips, vocabulary)
    losses, action = clips.losses, answers["action"]
    names = [action.names[i] for i in action.true.tolist()]
    rows = _rows(names, losses)
    position = {name: y for y, (_, members) in enumerate(rows) for name in members}
    y = np.array([position[name] for name in names]) + _spread(names)
    worst = np.argsort(-losses, kind="stable")[:NUM_WORST].tolist()
    chance = math.log(clips.verb_logits.shape[1]) + (math.log(clips.noun_logits.shape[1]) if vocabulary.has_objects else 0)

    with rc_context(STYLE):
        num_list_lines = len(worst) + 1
        figure = new_figure(9.5, 1.5 + 0.27 * max(len(rows), 3) + 0.2 * num_list_lines)
        axes = figure.add_subplot()
        for (verb_right, noun_right), (label, colour, marker) in (KINDS if vocabulary.has_objects else KINDS_OF_VERBS).items():
            of_kind = (answers["verb"].right == verb_right) & (answers["noun"].right == noun_right)
            axes.scatter(
                losses[of_kind],
                y[of_kind],
                s=26 if len(losses) < 500 else 12,
                c=colour,
                marker=marker,
                alpha=0.8,
                linewidths=0,
                label=f"{label} ({of_kind.sum()})",
            )
        for row, (_, members) in enumerate(rows):
            median = np.median(losses[[name in members for name in names]])
            axes.plot([median, median], [row - 0.36, row + 0.36], color=TEXT_COLOUR, linewidth=1.4)
        chance_is_near = chance < 1.5 * losses.max()
        if chance_is_near:
            axes.axvline(chance, color=GREY, linewidth=1, linestyle="--", zorder=0)
        for number, i in enumerate(worst, start=1):
            axes.annotate(str(number), (losses[i], y[i]), (5, 2), textcoords="offset points", fontsize=7)
        axes.set_yticks(range(len(rows)), [label for label, _ in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlim(left=0)
        axes.grid(axis="both")
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(
            f"loss, nats: cross-entropy of {'verb + noun' if vocabulary.has_objects else 'verb'} (bar: median; uniform probabilities{', dashed' if chance_is_near else ''}: {chance:.2f})"
        )
        figure.suptitle(title, x=0.01, ha="left", fontsize=11)
        figure.legend(
            *axes.get_legend_handles_labels(), loc="outside upper right", ncols=4, fontsize=8, handletextpad=0.2, columnspacing=1.2
        )
        figure.supxlabel(_worst_list(clips, action, worst), x=0.01, ha="left", fontsize=8)
        return png(figure)


def _rows(names: list[str], losses: NDArray[np.float64]) -> list[tuple[str, frozenset[str]]]:
    """List label and actions of each row: one each, by falling median loss, then others."""
    of_name: defaultdict[str, list[float]] = defaultdict(list)
    for name, loss in zip(names, losses.tolist(), strict=True):
        of_name[name].append(loss)
    by_frequency = sorted(of_name, key=lambda name: (-len(of_name[name]), name))
    kept, rest = by_frequency[:MAX_ROWS], by_frequency[MAX_ROWS:]
    kept.sort(key=lambda name: (-np.median(of_name[name]), name))
    rows = [(f"{short(name)} ({len(of_name[name])})", frozenset({name})) for name in kept]
    if rest:
        rows.append((f"{len(rest)} others ({sum(len(of_name[name]) for name in rest)})", frozenset(rest)))
    return rows


def _spread(names: list[str]) -> NDArray[np.float64]:
    """Compute (n,) small, deterministic offsets that keep clips of similar loss apart within a row."""
    offsets = np.linspace(-0.26, 0.26, 7)[[0, 3, 6, 1, 4, 2, 5]]
    seen: defaultdict[str, int] = defaultdict(int)
    spread = np.empty(len(names))
    for i, name in enumerate(names):
        spread[i] = offsets[seen[name] % len(offsets)]
        seen[name] += 1
    return spread


def _worst_list(clips: ScoredClips, action: Answers, worst: list[int]) -> str:
    lines = ["highest losses"]
    for number, i in enumerate(worst, start=1):
        true, predicted = (short(action.names[int(ids[i])]) for ids in (action.true, action.predicted))
        answer = f"{true}, correct" if action.right[i] else f"{true} predicted as {predicted}"
        lines.append(f"{number}  {clips.uids[i]}  {answer}, {clips.losses[i]:.2f}")
    return "\n".join(lines)


def confusion_figure(confusion: Confusion, title: str) -> bytes:
    """Draw a matrix without empty rows as PNG bytes; small cells show only the percent."""
    num_rows, num_columns = confusion.counts.shape
    cell = next(size for limit, size in CELL_INCHES if num_columns <= limit)
    shares = confusion.counts / confusion.support[:, None]
    with rc_context(STYLE):
        figure = new_figure(max(5.0, 2.6 + cell * num_columns), max(2.6, 1.9 + cell * num_rows))
        axes = figure.add_subplot()
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="equal")
        axes.set_title(title, pad=10)
        axes.set_xlabel("predicted (percent of the row; outlined: correct)")
        axes.set_ylabel("true (clips)")
        axes.set_xticks(range(num_columns), [short(name) for name in confusion.columns], rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(num_rows), [f"{short(n)} ({s})" for n, s in zip(confusion.rows, confusion.support.tolist(), strict=True)])
        axes.set_xticks(np.arange(num_columns + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(num_rows + 1) - 0.5, minor=True)
        axes.grid(which="minor", color="white", linewidth=1)
        axes.tick_params(which="both", length=0)
        axes.spines[:].set_visible(False)
        _write_cells(axes, confusion, shares, cell)
        for i in range(num_rows):
            if confusion.rows[i] == confusion.columns[i]:
                axes.add_patch(Rectangle((i - 0.5, i - 0.5), 1, 1, fill=False, edgecolor=VERMILION, linewidth=1.2))
        return png(figure)


def _write_cells(axes: Axes, confusion: Confusion, shares: np.ndarray, cell: float) -> None:
    size = 9 if cell > TWO_LINES_INCHES + 0.1 else 7
    for i, j in np.argwhere(confusion.counts > 0).tolist():
        percent = f"{100 * shares[i, j]:.0f}" if shares[i, j] >= 0.005 else "<1"
        label = f"{confusion.counts[i, j]}\n{percent} %" if cell > TWO_LINES_INCHES else percent
        axes.text(j, i, label, ha="center", va="center", fontsize=size, color="white" if shares[i, j] > 0.55 else "black")


def histograms(manifest: Manifest) -> dict[Target, bytes]:
    """Draw one PNG per target, with a panel per split, most frequent class on top."""
    with rc_context(STYLE):
        return {target: _picture(target, class_counts(manifest, target)) for target in manifest.vocabulary.targets}


def _picture(target: Target, counts: Mapping[str, Mapping[SplitName, int]]) -> bytes:
    shown = list(counts)[:MAX_CLASSES]
    splits = [split for split in SPLITS if split != "test" or any(own["test"] for own in counts.values())]
    longest = max((len(short(name)) for name in shown), default=0)
    figure = new_figure(3.1 * len(splits) + 0.4 + 0.075 * longest, 1.6 + 0.22 * max(len(shown), 3))
    figure.suptitle(_title(target, counts, len(shown)), x=0.01, ha="left", fontsize=11)
    panels: list[Axes] = list(figure.subplots(1, len(splits), sharey=True, squeeze=False)[0])
    num_clips = {split: sum(own[split] for own in counts.values()) for split in splits}
    largest_share = max((own[split] / max(num_clips[split], 1) for own in counts.values() for split in splits), default=1)
    for panel, split in zip(panels, splits, strict=True):
        _draw(panel, split, counts, shown, num_clips[split])
        # All panels share one scale of shares, so that the same mix of classes has the same shape.
        panel.set_xlim(0, max(num_clips[split], 1) * largest_share * 1.18)
    panels[0].set_yticks(range(len(shown)), [short(name) for name in shown])
    panels[0].set_ylim(len(shown) - 0.4, -0.6)
    return png(figure)


def _draw(panel: Axes, split: SplitName, counts: Mapping[str, Mapping[SplitName, int]], shown: list[str], num_clips: int) -> None:
    numbers = [counts[name][split] for name in shown]
    bars = panel.barh(range(len(shown)), numbers, height=0.72, color=COLOURS[split])
    for label, number in zip(panel.bar_label(bars, padding=3, fontsize=8), numbers, strict=True):
        label.set_color(TEXT_COLOUR if number else GREY)
        label.set_in_layout(False)
    num_present = sum(1 for own in counts.values() if own[split])
    panel.set_title(f"{split}: {plain_count(num_clips, 'clip')}, {num_present} of {len(counts)} classes", fontsize=10)
    panel.set_xlabel("clips (scale per split)")
    panel.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    panel.tick_params(axis="y", length=0)
    panel.grid(axis="x")


def _title(target: Target, counts: Mapping[str, Mapping[SplitName, int]], num_shown: int) -> str:
    if num_shown == len(counts):
        return TITLES[target]
    rest = sum(sum(own.values()) for name, own in list(counts.items())[num_shown:])
    return (
        f"{TITLES[target]}: the {num_shown} most frequent (the other {len(counts) - num_shown} have {plain_count(rest, 'clip')} in total)"
    )


def contact_sheet(frames: NDArray[np.uint8], frame_width: int = FRAME_WIDTH) -> bytes:
    """Make a JPEG of the frames in reading order.

    A row has 4, of more than 8 frames 8, each at most `frame_width` pixels wide and never enlarged.

    Args:
        frames: (t, h, w, 3) RGB, t at least 1.
    """
    num_frames, height, width = frames.shape[:3]
    scale = min(1.0, frame_width / width)
    cell_width, cell_height = max(1, round(width * scale)), max(1, round(height * scale))
    num_columns = min(num_frames, 4 if num_frames <= 8 else 8)
    num_rows = -(-num_frames // num_columns)
    sheet = Image.new("RGB", (num_columns * (cell_width + GAP) - GAP, num_rows * (cell_height + GAP) - GAP))
    for i in range(num_frames):
        row, column = divmod(i, num_columns)
        small = Image.fromarray(frames[i]).resize((cell_width, cell_height), Image.Resampling.LANCZOS)
        sheet.paste(small, (column * (cell_width + GAP), row * (cell_height + GAP)))
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=80, optimize=True)
    return buffer.getvalue()


def spectrogram_sheet(levels: NDArray[np.uint8]) -> bytes:
    """Draw a clip's spectra (s, 128) as a PNG.

    Time runs right, low notes are below, louder is brighter.
    """
    drawn = Image.fromarray(np.ascontiguousarray(levels.T[::-1])).resize((640, 128), Image.Resampling.BILINEAR)
    drawn = Image.fromarray(np.asarray(drawn))
    drawn.putpalette((colormaps["magma"](np.arange(256))[:, :3] * 255).astype(np.uint8).tobytes())
    buffer = io.BytesIO()
    drawn.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()

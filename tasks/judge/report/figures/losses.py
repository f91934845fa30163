"""Draw the loss per clip, which shows the classes and clips that are hard.

Legend: n clips.
"""

import math
from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from tasks.judge.report.figures.canvas import BLUE, GREY, INK, ORANGE, SKY, VERMILION, new_figure, png, short, styled
from tasks.judge.statistics.answers import Answers, answers_of
from tasks.judge.statistics.scoring import ScoredClips
from tasks.store.records.dataset import Vocabulary

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


def clip_loss_figure(clips: ScoredClips, vocabulary: Vocabulary, title: str) -> bytes:
    """Draw each clip's loss, one row per true action, as PNG bytes.

    Hardest first; the worst clips are numbered and listed. Actions beyond the 30 most frequent share a last row. A dashed line marks the
    loss of uniform probabilities, if in range.

    Args:
        clips: scored clips, at least one, all of classes that the network can predict.
        vocabulary: names of the classes.
        title: title of the figure.
    """
    answers = answers_of(clips, vocabulary)
    losses, action = clips.losses, answers["action"]
    names = [action.names[i] for i in action.true.tolist()]
    rows = _rows(names, losses)
    position = {name: y for y, (_, members) in enumerate(rows) for name in members}
    y = np.array([position[name] for name in names]) + _spread(names)
    worst = np.argsort(-losses, kind="stable")[:NUM_WORST].tolist()
    chance = math.log(clips.verb_logits.shape[1]) + (math.log(clips.noun_logits.shape[1]) if vocabulary.has_objects else 0)

    with styled():
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
            axes.plot([median, median], [row - 0.36, row + 0.36], color=INK, linewidth=1.4)
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
    """List label and actions of each row.

    One action per row by falling median loss, then one row for the rest.
    """
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

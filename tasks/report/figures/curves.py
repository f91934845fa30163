"""Draw loss and accuracy by epoch."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from tasks.report.figures.canvas import BLUE, INK, ORANGE, PURPLE, SKY, VERMILION, new_figure, png, styled
from tasks.results.training import Epoch
from tasks.wording import crops_in_words

ACCURACIES = (("val_verb_top1", "verbs", SKY, "^"), ("val_noun_top1", "nouns", PURPLE, "D"), ("val_action_top1", "actions", INK, "v"))


def training_figure(epochs: Sequence[Epoch], best_epoch: int, title: str, crops: int) -> bytes:
    """Draw training and validation loss, and validation accuracy below, with the kept epoch marked; PNG bytes.

    Args:
        epochs: at least one; epochs without validation have no point on the validation curves.
        best_epoch: the epoch of lowest validation loss, whose checkpoint is kept.
        title: title of the figure.
        crops: crops per clip in validation.
    """
    with styled():
        figure = new_figure(8, 5.6)
        loss_axes, accuracy_axes = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        _line(loss_axes, [(e.epoch, e.train_loss) for e in epochs], "training", ORANGE, "s")
        validated = [(e.epoch, e.val_loss) for e in epochs]
        _line(loss_axes, validated, "validation", BLUE, "o")
        for field, label, colour, marker in ACCURACIES:
            _line(accuracy_axes, [(e.epoch, getattr(e, field)) for e in epochs], label, colour, marker)
        best_loss = dict(validated).get(best_epoch)
        for axes in (loss_axes, accuracy_axes):
            axes.axvline(best_epoch, color=VERMILION, linewidth=1, linestyle=":", zorder=1)
            axes.grid(axis="y")
            if axes.get_legend_handles_labels()[0]:
                axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
        if best_loss is not None:
            loss_axes.plot([best_epoch], [best_loss], marker="*", markersize=13, color=VERMILION, markeredgecolor="white")
            # Put the label on the side with more room, so that it stays inside the axes.
            in_right_half = best_epoch > (epochs[0].epoch + epochs[-1].epoch) / 2
            loss_axes.annotate(
                f"kept: epoch {best_epoch}, {best_loss:.3f}",
                (best_epoch, 1),
                (-6 if in_right_half else 6, -2),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                ha="right" if in_right_half else "left",
                va="top",
                color=INK,
            )
        loss_axes.set_title(title)
        loss_axes.set_ylabel("loss, nats")
        loss_axes.set_ylim(0, 1.12 * max(loss for e in epochs for loss in (e.train_loss, e.val_loss) if loss is not None))
        accuracy_axes.set_ylabel(f"validation top-1\n({crops_in_words(crops)})")
        accuracy_axes.set_ylim(-0.03, 1.03)
        accuracy_axes.yaxis.set_major_formatter(PercentFormatter(1))
        accuracy_axes.set_xlabel("epoch")
        accuracy_axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        return png(figure)


def _line(axes: Axes, points: Sequence[tuple[int, float | None]], label: str, colour: str, marker: str) -> None:
    known = [(epoch, value) for epoch, value in points if value is not None]
    if not known:
        return
    axes.plot(
        [e for e, _ in known],
        [v for _, v in known],
        label=label,
        color=colour,
        marker=marker,
        markersize=5,
        markevery=1 + len(known) // 20,
        linewidth=1.6,
    )

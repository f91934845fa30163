"""Draw row-normalised confusion matrices: each row is a true class, each column a predicted class."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from tasks.judge.report.figures.canvas import VERMILION, new_figure, png, short, styled
from tasks.judge.statistics.confusion import Confusion

# Inches per cell by number of columns: large cells have room for count and percent, small ones only for the percent.
CELL_INCHES = ((6, 0.85), (12, 0.62), (20, 0.46), (99, 0.36))
TWO_LINES_INCHES = 0.45


def confusion_figure(confusion: Confusion, title: str) -> bytes:
    """Draw one matrix as PNG bytes. Cells show count and percent of the row, small cells only the percent; zeros stay blank.

    Args:
        confusion: counts of true against predicted classes, without empty rows.
        title: title of the figure, such as `fine-tuned, val: verbs`.
    """
    num_rows, num_columns = confusion.counts.shape
    cell = next(size for limit, size in CELL_INCHES if num_columns <= limit)
    shares = confusion.counts / confusion.support[:, None]
    with styled():
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

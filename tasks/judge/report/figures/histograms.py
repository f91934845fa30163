"""Draw the number of clips per class and split."""

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from tasks.data.split.statistics import class_counts
from tasks.judge.report.figures.canvas import BLUE, GREEN, GREY, INK, ORANGE, new_figure, png, short, styled
from tasks.store.records.dataset import Manifest
from tasks.store.records.record import SPLITS, SplitName, Target
from tasks.wording import plain_count

COLOURS: dict[SplitName, str] = {"train": BLUE, "val": ORANGE, "test": GREEN}
TITLES: dict[Target, str] = {"verb": "Verbs", "noun": "Nouns", "action": "Actions"}
MAX_CLASSES = 60
ROW_INCHES = 0.22
PANEL_INCHES = 3.1


def histograms(manifest: Manifest) -> dict[Target, bytes]:
    """Draw one PNG per target, with one panel per split.

    One bar per class, most frequent on top. Equal manifests give equal bytes.
    """
    with styled():
        return {target: _picture(target, class_counts(manifest, target)) for target in manifest.vocabulary.targets}


def _picture(target: Target, counts: Mapping[str, Mapping[SplitName, int]]) -> bytes:
    shown = list(counts)[:MAX_CLASSES]
    splits = [split for split in SPLITS if split != "test" or any(own["test"] for own in counts.values())]
    longest = max((len(short(name)) for name in shown), default=0)
    figure = new_figure(PANEL_INCHES * len(splits) + 0.4 + 0.075 * longest, 1.6 + ROW_INCHES * max(len(shown), 3))
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
        label.set_color(INK if number else GREY)
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

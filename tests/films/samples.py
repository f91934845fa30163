"""Draws films with interval labels: hands at a kitchen counter that put, take and move four things.

The verbs differ in what single frames show, since a TSN averages frames and cannot tell a film from its reverse: a thing is put on a
board or plate by one hand, taken out of an open drawer by one hand, moved along a tray by two hands. Kitchens, light, skin, sleeves
and things differ from video to video, and untouched things of the same nouns lie about.
"""

import csv
from pathlib import Path

import numpy as np

from tests.films.film import Film, Interval, make_films

ACTION_SECONDS = 8
JITTER_SECONDS = 0.8
# Neighbours differ in verb and noun, so that the first few already hold several of each.
ACTIONS = (
    ("put", "meat"),
    ("take", "bag"),
    ("move", "sauce"),
    ("put", "potato"),
    ("take", "meat"),
    ("move", "bag"),
    ("put", "sauce"),
    ("take", "potato"),
    ("move", "meat"),
    ("put", "bag"),
    ("take", "sauce"),
    ("move", "potato"),
)
SILENT_EVERY = 6
"""Every sixth film has no sound track, as some people's cameras have no microphone."""
INTERVALS_FILE = "intervals.csv"


def _deal(rng: np.random.Generator, num_videos: int, num_slots: int) -> list[list[tuple[str, str]]]:
    """Actions of each video: different ones inside a video, each equally often in all, each in two videos where there are two."""
    num_actions = min(len(ACTIONS), max(1, num_videos * num_slots // min(num_videos, 2)))
    counts = np.zeros(num_actions)
    videos = []
    for _ in range(num_videos):
        chosen: list[int] = []
        for _ in range(num_slots):
            repeats = np.bincount(chosen, minlength=num_actions)
            chosen.append(int(np.argmin(counts + 1000 * repeats + rng.uniform(0, 0.5, num_actions))))
            counts[chosen[-1]] += 1
        videos.append([ACTIONS[i] for i in rng.permutation(chosen)])
    return videos


def _intervals(rng: np.random.Generator, actions: list[tuple[str, str]]) -> tuple[Interval, ...]:
    """One interval near each stretch of 8 s, with a short idle before, between and after."""
    borders = np.arange(len(actions) + 1) * ACTION_SECONDS + rng.uniform(-JITTER_SECONDS, JITTER_SECONDS, len(actions) + 1)
    borders[0], borders[-1] = 0, len(actions) * ACTION_SECONDS
    idles = rng.uniform(0.15, 0.55, (len(actions), 2))
    return tuple(
        Interval(round(float(borders[i] + idles[i, 0]), 2), round(float(borders[i + 1] - idles[i, 1]), 2), verb, noun)
        for i, (verb, noun) in enumerate(actions)
    )


def plan(*, seed: int = 0, num_videos: int = 12, video_seconds: float = 40, audio: bool = True) -> list[Film]:
    """Choose the content of each film; the same arguments give the same plan.

    A video holds one action for every full 8 s. The default is 60 actions, five of each of `ACTIONS`; a smaller number shows fewer pairs,
    each in two videos where there are two. With `audio`, films have the sounds of what they show, but for every sixth.
    """
    rng = np.random.default_rng(seed)
    dealt = _deal(rng, num_videos, int(video_seconds // ACTION_SECONDS))
    return [
        Film(f"kitchen_{n:02d}.mp4", (seed, n), video_seconds, _intervals(rng, actions), audio and n % SILENT_EVERY > 0)
        for n, actions in enumerate(dealt, start=1)
    ]


def write_intervals(films: list[Film], path: Path) -> None:
    """Write the label table of `films`."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("video", "start_seconds", "stop_seconds", "verb", "noun"))
        writer.writerows((f.name, i.start_seconds, i.stop_seconds, i.verb, i.noun) for f in films for i in f.intervals)


def draw(films: list[Film], folder: Path, ffmpeg: Path | str) -> None:
    """Fill `folder`, which is made where absent, with films and `intervals.csv` of their labels, by an ffmpeg with libx264 and aac."""
    make_films(films, ffmpeg, folder)
    write_intervals(films, folder / INTERVALS_FILE)


def make_samples(folder: Path, *, ffmpeg: Path | str, **choice: int | float | bool) -> None:
    """Draw the films of `plan` by its arguments; the same arguments and the same ffmpeg give the same bytes."""
    draw(plan(**choice), folder, ffmpeg)

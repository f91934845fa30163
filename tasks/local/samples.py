"""Makes the sample videos of `make run`: hands at a kitchen counter that put, take and move four things, with interval labels.

The verbs differ in what single frames show, since a TSN averages frames and cannot tell a film from its reverse: a thing is put on a
board or plate by one hand, taken out of an open drawer by one hand, moved along a tray by two hands. Kitchens, light, skin, sleeves
and things differ from video to video, and untouched things of the same nouns lie about.
"""

import csv
import hashlib
import multiprocessing
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ValidationError

from tasks.errors import BadConfiguration
from tasks.local.samples_film import Film, Interval, make_film

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
INTERVALS_FILE = "intervals.csv"
MARKER_FILE = ".samples.json"


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


def plan(*, seed: int, num_videos: int, video_seconds: float, audio: bool = True) -> list[Film]:
    """What the videos will show; the same arguments give the same plan.

    Raises:
        BadConfiguration: no video, or one too short for a single action.
    """
    num_slots = int(video_seconds // ACTION_SECONDS)
    if num_videos < 1 or num_slots < 1:
        raise BadConfiguration(f"{num_videos} sample videos of {video_seconds:g} s: at least 1 of {ACTION_SECONDS} s or more is needed")
    rng = np.random.default_rng(seed)
    dealt = _deal(rng, num_videos, num_slots)
    return [
        Film(f"kitchen_{n:02d}.mp4", (seed, n), video_seconds, _intervals(rng, actions), audio) for n, actions in enumerate(dealt, start=1)
    ]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_intervals(films: list[Film], path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("video", "start_seconds", "stop_seconds", "verb", "noun"))
        writer.writerows((f.name, i.start_seconds, i.stop_seconds, i.verb, i.noun) for f in films for i in f.intervals)


def _recipe(films: list[Film]) -> str:
    """A hash of the plan and of the code that draws it."""
    digest = hashlib.sha256(repr(films).encode())
    for source in sorted(Path(__file__).parent.glob("samples*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()


class _Marker(BaseModel):
    """What was made, and the SHA-256 of each file."""

    recipe: str
    files: dict[str, str]


def _is_complete(folder: Path, recipe: str) -> bool:
    """Whether `folder` holds these very samples, unharmed.

    Raises:
        BadConfiguration: other files than samples lie there, which a replacement would delete.
    """
    if not folder.exists():
        return False
    try:
        marker = _Marker.model_validate_json((folder / MARKER_FILE).read_bytes())
    except (OSError, ValidationError):
        marker = _Marker(recipe="", files={})
    if marker.recipe == recipe and all((folder / n).is_file() and _sha256(folder / n) == h for n, h in marker.files.items()):
        return True
    strangers = sorted({path.name for path in folder.iterdir()} - {MARKER_FILE, *marker.files}) if folder.is_dir() else [folder.name]
    if strangers:
        raise BadConfiguration(f"{folder}: {strangers[0]} is not a sample and would be deleted; move it away, or name another folder")
    return False


def make_samples(
    folder: Path,
    *,
    seed: int,
    num_videos: int = 12,
    video_seconds: float = 40,
    ffmpeg: Path | str,
    audio: bool = True,
    num_processes: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Fill `folder` with h264 videos of 320 x 240 at 15 frames a second, and `intervals.csv` of their labels beside them.

    A video holds one action for every full 8 s. The default is 60 actions, five of each of twelve pairs of put, take, move and meat,
    bag, sauce, potato; a smaller number shows fewer pairs, each in two videos where there are two. The same arguments and the same ffmpeg
    give the same bytes. The folder appears when it is complete; samples that are there already, made by the same recipe, are kept, others
    are replaced.

    Args:
        folder: made new, or replaced if it holds samples
        seed: of everything
        num_videos: source videos
        video_seconds: length of each
        ffmpeg: a binary with libx264 and aac
        audio: give each video a quiet track of noise
        num_processes: 0 takes every core this process may use
        on_progress: called with the number of finished videos and of all

    Raises:
        BadConfiguration: too few or too short videos, `folder` holds something else, or ffmpeg does not work
    """
    films = plan(seed=seed, num_videos=num_videos, video_seconds=video_seconds, audio=audio)
    recipe = _recipe(films)
    if _is_complete(folder, recipe):
        if on_progress:
            on_progress(num_videos, num_videos)
        return
    work = folder.parent / f".{folder.name}.partial"
    shutil.rmtree(work, ignore_errors=True)
    (work / "new").mkdir(parents=True)
    try:
        _make_films(films, ffmpeg, work / "new", num_processes or len(os.sched_getaffinity(0)), on_progress)
        _write_intervals(films, work / "new" / INTERVALS_FILE)
        marker = _Marker(recipe=recipe, files={path.name: _sha256(path) for path in sorted((work / "new").iterdir())})
        (work / "new" / MARKER_FILE).write_text(marker.model_dump_json(indent=1))
        if folder.exists():
            folder.rename(work / "old")
        (work / "new").rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _make_films(
    films: list[Film], ffmpeg: Path | str, folder: Path, num_processes: int, on_progress: Callable[[int, int], None] | None
) -> None:
    # Spawned, not forked: the caller may have threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(num_processes, len(films)), mp_context=context) as pool:
        try:
            for num_done, future in enumerate(as_completed([pool.submit(make_film, f, ffmpeg, folder) for f in films]), start=1):
                future.result()
                if on_progress:
                    on_progress(num_done, len(films))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise

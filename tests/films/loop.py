"""Draws short films for a whole loop: labelled ones with two things, new ones mostly with two others, and some that nobody labels."""

from collections.abc import Mapping
from pathlib import Path

from tests.films.film import Film, Interval, make_films
from tests.films.samples import ACTION_SECONDS, INTERVALS_FILE, write_intervals

KNOWN = (("put", "meat"), ("take", "bag"), ("put", "bag"), ("take", "meat"))
NEW = (("put", "sauce"), ("take", "potato"), ("put", "potato"), ("take", "sauce"))
SHOWN = {"first": KNOWN, "new": (*NEW, NEW[0], KNOWN[1], NEW[2], NEW[3]), "unseen": (*KNOWN, *NEW)}
"""Actions of the films of each part, in turn."""
NUM_FILMS = {"first": 20, "new": 24, "unseen": 24}
FIRST_SEED = 200
"""Away from the seeds of other films."""


def _film(part: str, n: int, seconds: float) -> Film:
    verb, noun = SHOWN[part][n % len(SHOWN[part])]
    whole = Interval(0, seconds, verb, noun)
    return Film(f"{part}_{n + 1:02d}.mp4", (FIRST_SEED + list(NUM_FILMS).index(part), n), seconds, (whole,), audio=False)


def make_loop(
    folder: Path, *, ffmpeg: Path | str, num_films: Mapping[str, int] = NUM_FILMS, seconds: float = ACTION_SECONDS
) -> dict[str, list[Film]]:
    """Fill a folder for each part under `folder`; a smaller number leaves out the last films.

    Labels lie beside the films of `first`; those of the others lie beside their folder.
    """
    planned = {part: [_film(part, n, seconds) for n in range(number)] for part, number in num_films.items()}
    for part, films in planned.items():
        make_films(films, ffmpeg, folder / part)
        write_intervals(films, folder / part / INTERVALS_FILE if part == "first" else folder / f"{part}.csv")
    return planned

"""Draws kitchen videos and their label table: `python -m tests.films FOLDER [--seed N] [--videos N] [--seconds S]`.

`python -m tests.films FOLDER --long` draws videos of unlike actions with pauses, to try intervals of `predict_videos` on, and
`python -m tests.films FOLDER --loop` the videos of docs/labels.md, section *From new videos to a better champion*.

The videos of `make run` were made by `python -m tests.films tasks/local/samples`, and the video that its network predicts by
`python -m tests.films tasks/local/long_video --long --videos 1`, on an x86-64 processor with AVX-512, with numpy 2.4.6,
pillow 13.0.0 and the ffmpeg 9.0.2 of imageio-ffmpeg 0.8.1. Other processors and versions may give other bytes.
"""

import argparse
from pathlib import Path

from tasks.data.video.ffmpeg import find_ffmpeg
from tests.films.long import plan_long
from tests.films.loop import make_loop
from tests.films.samples import draw, plan


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.films", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--videos", type=int, help="default: 12, long ones 3")
    parser.add_argument("--seconds", type=float, default=40)
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--long", action="store_true")
    kind.add_argument("--loop", action="store_true")
    chosen = parser.parse_args()
    if chosen.loop:
        make_loop(chosen.folder, ffmpeg=find_ffmpeg(None))
    elif chosen.long:
        draw(plan_long(seed=chosen.seed, num_videos=chosen.videos or 3), chosen.folder, find_ffmpeg(None))
    else:
        films = plan(seed=chosen.seed, num_videos=chosen.videos or 12, video_seconds=chosen.seconds)
        draw(films, chosen.folder, find_ffmpeg(None))


if __name__ == "__main__":
    main()

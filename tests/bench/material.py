"""Videos, clips and networks that are measured."""

import math
import shutil
import subprocess
from pathlib import Path

import numpy as np

from tasks.data.video.child import undivided
from tasks.data.video.cut import CutClip, cut
from tasks.data.video.ffmpeg import find_ffmpeg
from tasks.data.video.probe import probe
from tasks.learn.inputs.data import CachedClip
from tasks.learn.networks.network import Network
from tasks.learn.networks.spec import ClassNames, NetworkSpec
from tasks.options import SegmentOptions

SHARED = Path(__file__).resolve().parents[3] / "shared" / "videos"
FFMPEG = find_ffmpeg(None)
NUM_VERBS, NUM_NOUNS = 125, 352
CLASSES = ClassNames(verbs=tuple(map(str, range(NUM_VERBS))), nouns=tuple(map(str, range(NUM_NOUNS))))


def videos(folder: Path, most: int) -> list[Path]:
    """Real videos where they are, the long ones first; else as many that ffmpeg draws."""
    found = [path for name in ("long", "kitchen") for path in sorted((SHARED / name).glob("*.*")) if path.suffix in (".mp4", ".webm")]
    return found[:most] or [drawn(folder / f"drawn{number}.mp4", seconds=20 + number) for number in range(min(most, 3))]


def drawn(path: Path, seconds: float, size: str = "1280x720") -> Path:
    """A video of moving shapes with sound."""
    source = ("-f", "lavfi", "-i", f"testsrc2=s={size}:r=30:d={seconds}", "-f", "lavfi", "-i", f"sine=f=440:d={seconds}")
    encoded = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac")
    subprocess.run([str(FFMPEG), "-loglevel", "error", "-y", *source, *encoded, str(path)], check=True)
    return path


def clips(folder: Path, wanted: int) -> list[CutClip]:
    """So many clips of eight seconds at most, cut from `videos`, and from drawn ones where those have too few."""
    made: list[CutClip] = []
    sources = videos(folder, most=100)
    while len(made) < wanted:
        source = sources.pop(0) if sources else drawn(folder / f"more{len(made)}.mp4", seconds=8 * min(4, wanted - len(made)))
        made += cut_up(source, folder)
    return made[:wanted]


def cut_up(source: Path, folder: Path, **options: float) -> tuple[CutClip, ...]:
    """The clips of a video."""
    memory = undivided()
    held = probe(source, max_seconds=math.inf, memory=memory)
    return cut(source, held, folder, SegmentOptions(**options), ffmpeg=FFMPEG, time_limit_seconds=600, memory=memory).clips


def noise(folder: Path, num_clips: int, num_distinct: int = 8, num_frames: int = 16) -> list[CachedClip]:
    """Labelled clips of noise. Only a few have pixels of their own; the others are links to them, under names of their own."""
    rng = np.random.default_rng(0)
    made = []
    for number in range(num_clips):
        path = folder / f"{number:05d}.npy"
        if number < num_distinct:
            np.save(path, rng.integers(0, 256, (num_frames, 256, 340, 3), dtype=np.uint8))
        else:
            path.symlink_to(folder / f"{number % num_distinct:05d}.npy")
        made.append(CachedClip(path, number % NUM_VERBS, number % NUM_NOUNS))
    return made


def network(backbone: str, num_segments: int = 8) -> Network:
    """A network of this backbone with random weights: its speed is that of any other."""
    return Network(NetworkSpec(backbone=backbone, num_segments=num_segments), seed=1)


def emptied(folder: Path) -> Path:
    """The folder, new."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder

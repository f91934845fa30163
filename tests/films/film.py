"""Plays the actions of one video in a painted kitchen through a shaky, noisy camera, and encodes the film.

Frames are (HEIGHT, WIDTH, 3), 8-bit RGB.
"""

import contextlib
import multiprocessing
import os
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.films.hands import Hands, hands
from tests.films.motion import VERBS, Action, Moment, Pose
from tests.films.scene import WORLD_HEIGHT, WORLD_WIDTH, Kitchen, kitchen
from tests.films.sounds import RATE_HZ, soundtrack
from tests.films.sprites import Sprite, turned
from tests.films.things import NOUNS

WIDTH, HEIGHT, FPS = 320, 240, 15
CAMERA_REST = (WORLD_WIDTH / 2, 176.0)
CAMERA_SECONDS = 0.35
NUM_NOISES = 6
SOUND_SEED = 1


@dataclass(frozen=True)
class Interval:
    """A labelled stretch of a video."""

    start_seconds: float
    stop_seconds: float
    verb: str
    noun: str


@dataclass(frozen=True)
class Film:
    """One video to make; the same film gives the same bytes with the same ffmpeg."""

    name: str
    seed: tuple[int, int]
    seconds: float
    intervals: tuple[Interval, ...]
    audio: bool


def _camera_for(verb: str, scene: Kitchen, rng: np.random.Generator) -> tuple[float, float]:
    """Where the camera looks during an action: near the place of it, never exactly."""
    place = {"put": scene.put_on, "take": scene.take_from, "move": scene.move_on}[verb]
    down = {"put": -18, "take": 38, "move": -18}[verb]
    return place.x + rng.uniform(-16, 16), place.y + down + rng.uniform(-10, 10)


def _actions(film: Film, scene: Kitchen, rng: np.random.Generator) -> list[Action]:
    actions = []
    for interval in film.intervals:
        thing = turned(NOUNS[interval.noun](rng), rng.uniform(-24, 24), rng.uniform(0.92, 1.08))
        camera, play = _camera_for(interval.verb, scene, rng), VERBS[interval.verb](rng, scene, thing)
        actions.append(Action(interval.start_seconds, interval.stop_seconds, thing, camera, play))
    return actions


def _sprites(action: Action, person: Hands) -> dict[Pose, Sprite]:
    """The hands of an action, turned as it needs them."""
    used = {hand.pose: hand.degrees for phase in np.linspace(0, 1, 50) for hand in action.play(float(phase)).hands}
    return {pose: turned(getattr(person, pose), degrees) for pose, degrees in used.items()}


def _paint(view: Image.Image, left: int, top: int, scene: Kitchen, moment: Moment, thing: Sprite, reach: dict[Pose, Sprite]) -> None:
    """Paint all that moves over a cut-out of the world whose corner is (left, top)."""
    if moment.drawer:
        scene.paste_drawer(view, left, top, moment.drawer)
    thing.paste(view, moment.thing[0] - left, moment.thing[1] - top, lift=moment.lift, opacity=moment.opacity)
    for hand in moment.hands:
        reach[hand.pose].paste(view, hand.x - left, hand.y - top, lift=moment.lift + 4)


def _cameras(film: Film, actions: list[Action], num_frames: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Corner and size of the camera's view (frames, 4), which follows the actions with a lag, shakes and breathes."""
    times = np.arange(num_frames) / FPS
    wanted = np.tile(np.array(CAMERA_REST), (num_frames, 1))
    for action in actions:
        wanted[(times >= action.start_seconds - 0.4) & (times < action.stop_seconds)] = action.camera
    centre, speed = wanted[0].copy(), 1 - np.exp(-1 / (FPS * CAMERA_SECONDS))
    phases, rates = rng.uniform(0, 6.3, (3, 2)), rng.uniform(0.6, 5.5, (3, 2))
    zoom = rng.uniform(0.94, 1.06)
    boxes = np.empty((num_frames, 4))
    for n, time in enumerate(times):
        centre += (wanted[n] - centre) * speed
        shake = (1.3 * np.sin(phases + rates * time)).sum(axis=0) + rng.normal(0, 0.25, 2)
        size = np.array([WIDTH, HEIGHT]) * zoom * (1 + 0.012 * np.sin(0.7 * time + phases[0, 0]))
        limit = np.array([WORLD_WIDTH, WORLD_HEIGHT]) - size
        boxes[n] = (*np.clip(centre + shake - size / 2, 0, limit), *size)
    return boxes


def _exposures(film: Film, num_frames: int, rng: np.random.Generator) -> list[list[int]]:
    """A table of 3 x 256 levels for each frame: light that drifts and is switched once, white balance, exposure."""
    times = np.arange(num_frames) / FPS
    gain = rng.uniform(0.86, 1.1) + 0.05 * np.sin(rng.uniform(0.2, 0.9) * times + rng.uniform(0, 6.3))
    switched = times > rng.uniform(0.2, 0.8) * film.seconds
    gain *= np.where(switched, rng.uniform(0.82, 1.18), 1)
    tint = np.array([1, 1, 1]) + rng.uniform(-0.07, 0.07) * np.array([1, 0, -1])
    drift = 0.02 * np.sin(0.3 * times[:, None] + rng.uniform(0, 6.3, 3))
    levels = np.arange(256)[None, None, :] / 255
    gamma = rng.uniform(0.88, 1.12)
    table = 255 * np.clip(levels**gamma * (gain[:, None] * (tint + drift))[..., None], 0, 1)
    return [frame.ravel().tolist() for frame in table.astype(np.uint8)]


def frames(film: Film) -> Iterator[NDArray[np.uint8]]:
    """Every frame of the film, in order; deterministic by the film's seed."""
    rng = np.random.default_rng(film.seed)
    scene, person = kitchen(rng), hands(rng)
    actions = _actions(film, scene, rng)
    num_frames = round(film.seconds * FPS)
    boxes, exposures = _cameras(film, actions, num_frames, rng), _exposures(film, num_frames, rng)
    strength = rng.uniform(2.5, 5)
    noises = (strength * rng.standard_normal((NUM_NOISES, HEIGHT + 16, WIDTH + 16, 3), dtype=np.float32)).astype(np.int16)
    shifts = rng.integers(0, 16, (num_frames, 2))
    playing, reach = -1, dict[Pose, Sprite]()
    for n in range(num_frames):
        time, (x, y, width, height) = n / FPS, boxes[n]
        left, top = int(x), int(y)
        view = scene.world.crop((left, top, min(left + int(width) + 2, WORLD_WIDTH), min(top + int(height) + 2, WORLD_HEIGHT)))
        for i, action in enumerate(actions):
            if action.start_seconds <= time < action.stop_seconds:
                if i != playing:
                    playing, reach = i, _sprites(action, person)
                phase = (time - action.start_seconds) / (action.stop_seconds - action.start_seconds)
                _paint(view, left, top, scene, action.play(phase), action.thing, reach)
        box = (x - left, y - top, min(x - left + width, view.width), min(y - top + height, view.height))
        picture = view.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR, box=box).point(exposures[n])
        dy, dx = shifts[n]
        yield np.clip(np.asarray(picture) + noises[n % NUM_NOISES, dy : dy + HEIGHT, dx : dx + WIDTH], 0, 255).astype(np.uint8)


def sound(film: Film) -> NDArray[np.int16]:
    """The film's sound (n,) at 16 kHz; deterministic by the film's seed, whose draws for the picture it leaves alone."""
    rng = np.random.default_rng(film.seed)
    scene, _ = kitchen(rng), hands(rng)
    actions = _actions(film, scene, rng)
    nouns = [interval.noun for interval in film.intervals]
    return soundtrack(list(zip(nouns, actions, strict=True)), film.seconds, np.random.default_rng((*film.seed, SOUND_SEED)))


def _arguments(film: Film, ffmpeg: Path | str, path: Path, track: Path) -> list[str]:
    """ffmpeg's argument list: raw frames from standard input, the sound from a file, and nothing that differs from run to run."""
    return [
        *(str(ffmpeg), "-nostdin", "-loglevel", "error", "-y"),
        *f"-f rawvideo -pix_fmt rgb24 -s {WIDTH}x{HEIGHT} -r {FPS} -i pipe:0".split(),
        *(["-f", "s16le", "-ar", str(RATE_HZ), "-ac", "1", "-i", str(track)] if film.audio else ()),
        *["-c:v", "libx264", "-preset", "superfast", "-crf", "27", "-threads", "1", "-pix_fmt", "yuv420p"],
        *(["-c:a", "aac", "-b:a", "24k"] if film.audio else ()),
        *["-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact", "-movflags", "+faststart"],
        str(path),
    ]


def make_film(film: Film, ffmpeg: Path | str, folder: Path) -> None:
    """Render and encode one film as `folder/<name>`.

    Raises:
        CalledProcessError: ffmpeg ends with an error, which it says on stderr.
    """
    with tempfile.TemporaryDirectory() as apart:
        track = Path(apart) / "track.pcm"
        if film.audio:
            track.write_bytes(sound(film).tobytes())
        command = _arguments(film, ffmpeg, folder / film.name, track)
        # A pipe that breaks means that ffmpeg gave up; its exit status tells.
        with (
            subprocess.Popen(command, stdin=subprocess.PIPE) as process,
            contextlib.suppress(BrokenPipeError),
            cast(IO[bytes], process.stdin) as pipe,
        ):
            for frame in frames(film):
                pipe.write(frame.tobytes())
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)


def make_films(films: list[Film], ffmpeg: Path | str, folder: Path) -> None:
    """Render and encode films side by side into `folder`, which is made if absent; raise the errors of `make_film`."""
    folder.mkdir(parents=True, exist_ok=True)
    # Spawned, not forked: the caller may have threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(len(os.sched_getaffinity(0)), len(films)), mp_context=context) as pool:
        list(pool.map(partial(make_film, ffmpeg=ffmpeg, folder=folder), films))

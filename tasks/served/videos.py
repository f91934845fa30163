"""Answer videos and clips: cut, score, and merge what is predicted into intervals."""

import logging
import math
import tempfile
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.data.video.audio import decode_audio
from tasks.data.video.child import undivided
from tasks.data.video.cut import cut, frames_per_clip
from tasks.data.video.ffmpeg import find_ffmpeg, time_limit
from tasks.data.video.frames import FLOW_SUFFIX, iter_fields, num_fields, read_frames, write_pictures
from tasks.data.video.probe import count_frames, probe
from tasks.errors import BadCheckpoint, BadInput
from tasks.judge.statistics.scoring import Logits, one_hot_logits
from tasks.learn.engines.engine import prepare
from tasks.learn.engines.pytorch import PytorchEngine
from tasks.learn.engines.scorer import Scorer
from tasks.learn.hardware import choose_device
from tasks.learn.inputs.snippets import frames_in_test, snippets_in_test, sound_input
from tasks.learn.inputs.sound_features import SPECTRUM_RATE_HZ, describe, rows_of
from tasks.learn.networks.checkpoints import Saved
from tasks.learn.networks.spec import SHORT_SIDE, NetworkSpec
from tasks.options import FlowOptions
from tasks.predict.intervals import intervals, reported
from tasks.predict.probabilities import distributions
from tasks.served import Served
from tasks.store.records.dataset import NOTHING

log = logging.getLogger(__name__)

Frames = NDArray[np.uint8]
Video = str | Path | bytes | Frames


@dataclass(frozen=True)
class Clip:
    """A clip on disk, and its interval of the video."""

    path: Path
    start_seconds: float
    stop_seconds: float
    num_frames: int


class VideoModel:
    """Networks, fusion weights and class names of a checkpoint, and how they are served."""

    def __init__(self, saved: Saved, served: Served) -> None:
        device = choose_device("auto")
        self._served = served
        self._classes = saved.classes
        self._specs = [network.spec for network in saved.networks]
        engines = tuple(PytorchEngine(prepare(network, device), served.crops) for network in saved.networks)
        self._scorer = Scorer(engines, saved.weights, saved.joint and saved.joint.eval())
        if any(spec.flow for spec in self._specs):
            import tasks.data.video.flow  # noqa: F401 - the only part that needs OpenCV

    def predict(self, model_input: pd.DataFrame | Video | Iterable[Video], params: dict[str, object] | None = None) -> pd.DataFrame:
        """Predict the actions in videos.

        Args:
            model_input: paths of videos, clips or folders of them, bytes of a file, or the frames of a clip, uint8 RGB (n, h, w, 3), as many
                per second as in training; one or several. Of a table, the first column.
            params: required by MLflow; ignored.

        Returns:
            One row per interval, without gaps: `video`, `start` and `stop` in seconds, `verb` and `noun`, and the `probability` of both.
            `reported` is whether a prediction by Retake would list the interval. Videos that cannot be read are left out with a warning.

        Raises:
            BadInput: there is no video that can be read; the message names the first.
            BadCheckpoint: the logits are not finite.
        """
        rows: list[dict[str, object]] = []
        failures: list[BadInput] = []
        for number, video in enumerate(_each(model_input)):
            name = str(video) if isinstance(video, (str, Path)) else f"input {number}"
            try:
                with tempfile.TemporaryDirectory(prefix="retake-video-") as folder:
                    rows += self._rows(name, video, Path(folder))
            except BadCheckpoint:
                raise
            except BadInput as error:
                log.warning("left out: %s: %s", name, error)
                failures.append(error)
        if not rows:
            raise next(iter(failures), BadInput("there is no video to predict"))
        return pd.DataFrame(rows)

    def logits(self, clip: Clip, folder: Path) -> tuple[Logits, Logits]:
        """Score one clip: verb (v,) and noun (n,); a given noun is certain.

        `folder` is for optical flow.

        Raises:
            BadInput: the clip does not decode.
            BadCheckpoint: the logits are not finite.
        """
        verb, noun = (logits.numpy() for logits in self._scorer.score(snippets(clip, self._specs, folder)))
        if not all(np.isfinite(logits).all() for logits in (verb, noun)):
            raise BadCheckpoint(f"{clip.path.name}: the network's logits are not finite")
        given = self._classes.given_noun
        return verb, noun if given is None else one_hot_logits(np.array([given]), len(noun))[0]

    def _rows(self, name: str, video: Video, folder: Path) -> Iterator[dict[str, object]]:
        served, classes = self._served, self._classes
        clips = list(self._clips(video, folder))
        verbs, nouns = zip(*(self.logits(clip, folder) for clip in clips), strict=True)
        starts, stops = (np.array([getattr(clip, end) for clip in clips]) for end in ("start_seconds", "stop_seconds"))
        likely = distributions(np.stack(verbs), np.stack(nouns), served.verb_temperature, served.noun_temperature, served.actions)
        predicted = intervals(starts, stops, likely)
        candidates = (interval for interval in predicted if served.reports and classes.verbs[interval.verb_class] != NOTHING)
        listed = frozenset(reported(candidates, served.threshold))
        for interval in predicted:
            yield {
                "video": name,
                "start": interval.start_seconds,
                "stop": interval.stop_seconds,
                "verb": classes.verbs[interval.verb_class],
                "noun": classes.nouns[interval.noun_class],
                "probability": interval.probability,
                "reported": interval in listed,
            }

    def _clips(self, video: Video, folder: Path) -> Iterator[Clip]:
        """Cut a video as the training's videos were cut.

        A video of the same frame rate that is not rotated and no longer than a clip is taken as it is.
        """
        segment = self._served.segment
        if isinstance(video, np.ndarray):
            if video.ndim != 4 or video.dtype != np.uint8 or video.shape[3] != 3 or not len(video):
                raise BadInput(f"frames are uint8 RGB (n, height, width, 3), not {video.dtype} {video.shape}")
            if all(spec.sound for spec in self._specs):
                raise BadInput("frames have no sound, which is all that this model takes in; give the file")
            path = folder / "frames.mkv"
            yield Clip(path, 0, len(video) / segment.fps, write_pictures(path, iter(video), is_coloured=True))
            return
        if not isinstance(video, (str, Path, bytes)):
            raise BadInput(f"a video is a path, the bytes of a file or frames, and not {video!r}")
        path = folder / "video" if isinstance(video, bytes) else Path(video)
        if isinstance(video, bytes):
            path.write_bytes(video)
        elif not path.is_file():
            raise BadInput(f"{video}: no such file")
        source = probe(path, max_seconds=math.inf, memory=undivided())
        num_frames = count_frames(path, memory=undivided())
        if source.fps == segment.fps and not source.rotation_degrees and num_frames <= frames_per_clip(segment):
            yield Clip(path, 0, num_frames / segment.fps, num_frames)
            return
        limit = time_limit(source.duration_seconds)
        pieces = cut(path, source, folder, segment, ffmpeg=find_ffmpeg(None), time_limit_seconds=limit, memory=undivided())
        for warning in pieces.warnings:
            log.warning("%s", warning)
        yield from (Clip(clip.path, clip.start_seconds, clip.stop_seconds, clip.num_frames) for clip in pieces.clips)


class SentVideoModel(VideoModel):
    """A model that answers videos sent as bytes or base64 text, but no paths.

    `refusal` makes the error that tells the client what is wrong with its request.
    """

    def __init__(self, saved: Saved, served: Served, refusal: Callable[[str], Exception]) -> None:
        super().__init__(saved, served)
        self._refusal = refusal

    def predict(self, model_input: pd.DataFrame | Video | Iterable[Video], params: dict[str, object] | None = None) -> pd.DataFrame:
        """Predict as `VideoModel` does, with texts as objects, which every server can write."""
        try:
            answer = super().predict([_content(video) for video in _inputs(model_input)], params)
        except BadCheckpoint:
            raise
        except BadInput as error:
            raise self._refusal(str(error)) from error
        return answer.astype(dict.fromkeys(("video", "verb", "noun"), object))


def _content(video: Video) -> bytes:
    if isinstance(video, bytes):
        return video
    with suppress(ValueError):
        if isinstance(video, str):
            return b64decode(video, validate=True)
    raise BadInput("send each video as the base64 text of its bytes, without line breaks; a path is not read here")


def _inputs(model_input: pd.DataFrame | Video | Iterable[Video]) -> Iterable[Video]:
    """List one video, a table's first column, or all videos of a dict."""
    if isinstance(model_input, pd.DataFrame):
        return list(model_input.iloc[:, :1].to_numpy().ravel())
    if isinstance(model_input, Mapping):
        return [video for videos in model_input.values() for video in _inputs(videos)]
    if isinstance(model_input, (str, bytes, Path)) or (isinstance(model_input, np.ndarray) and model_input.ndim in (0, 4)):
        return [model_input]
    return model_input


def _each(model_input: pd.DataFrame | Video | Iterable[Video]) -> Iterator[Video]:
    """Yield videos one by one; of a folder, its files."""
    for video in _inputs(model_input):
        if isinstance(video, (str, Path)) and Path(video).is_dir():
            yield from sorted(path for path in Path(video).rglob("*") if path.is_file() and not path.name.startswith("."))
        else:
            yield video


def snippets(clip: Clip, specs: Sequence[NetworkSpec], folder: Path) -> list[Frames]:
    """Read the test input of each network: snippets (t, h, w, p), or sound."""
    flow, heard = cache(partial(_flow, clip, folder)), cache(partial(_heard, clip.path))
    inputs: list[Frames] = []
    for spec in specs:
        if spec.sound:
            inputs.append(sound_input(heard(), spec))
            continue
        if spec.flow:
            frames = np.stack(list(iter_fields(flow(spec.flow), frames_in_test(num_fields(clip.num_frames), spec))))
        else:
            numbers = frames_in_test(clip.num_frames, spec)
            frames = read_frames(clip.path, numbers, short_side=SHORT_SIDE, interpolation=spec.interpolation)
        inputs.append(snippets_in_test(frames, spec))
    return inputs


def _flow(clip: Clip, folder: Path, options: FlowOptions) -> Path:
    from tasks.data.video.flow import FlowMaker

    path = folder / f"{options.flow_method}{FLOW_SUFFIX}"
    with FlowMaker(options) as maker:
        maker.write(clip.path, path, num_frames=clip.num_frames, short_side=SHORT_SIDE)
    return path


def _heard(clip: Path) -> NDArray[np.float32]:
    """Decode and describe the sound, as the step `sound` does."""
    sound = decode_audio(clip, [SPECTRUM_RATE_HZ])
    return rows_of(describe(sound.samples[SPECTRUM_RATE_HZ], seconds=sound.seconds, state=sound.state, reason=sound.reason))

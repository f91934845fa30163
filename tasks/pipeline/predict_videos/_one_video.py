"""Predict one video by both networks, clip by clip."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tasks.data.clips.flow_and_sound import shortness
from tasks.data.clips.frame_cache import FramesAhead
from tasks.errors import BadCheckpoint, BadInput, BadVideo, RetakeError
from tasks.judge.statistics.scoring import Logits, each_scored, peak_memory_bytes, require_finite
from tasks.learn.engines.scorer import Noted, centre
from tasks.learn.inputs.snippets import is_silent
from tasks.pipeline._results import finish, finished, log
from tasks.pipeline.predict_videos._ready import Frames, Ready
from tasks.pipeline.predict_videos._windows import LogitsByRole, NotedByRole, Sliding, sliding_over
from tasks.predict.scored import ScoredWriter, Window
from tasks.predict.to_label import Features, distances_to_nearest
from tasks.store.objects import Store
from tasks.store.records.prediction import PredictBatchResult, PredictedVideo, PredictorRole, PredictPlanResult, ScoredVideo
from tasks.store.records.record import SetAside
from tasks.store.records.video import ClipRecord
from tasks.store.run_layout import Prediction
from tasks.wording import count, plain_reason


@dataclass(frozen=True)
class Inputs:
    """A clip's snippets of a test, and the further frames that windows need, for each network."""

    num_frames: int
    tested: list[Frames]
    further: list[Frames]


Answer = tuple[LogitsByRole, Features, NotedByRole]
NO_FEATURES: Features = np.empty(0, np.float32)


NOTHING_TO_HEAR = (
    "there is nothing to hear in it; a network of sound alone answers it by the biases of its heads, and does not count in a fusion of "
    "logits; to joined features it sounds like the average of the training clips"
)


class NotComparable(RetakeError):
    """The second network's logits are not finite; the batch continues without it."""


@dataclass(frozen=True)
class Work:
    """Inputs of every video of a batch.

    `known` is (m, f), `folder` is for files, `frames` for decoded frames.
    """

    plan: PredictPlanResult
    known: Features | None
    folder: Path
    frames: Path
    store: Store


def verb_alone(networks: Mapping[PredictorRole, Ready]) -> tuple[PredictorRole, ...]:
    """List the networks that were trained on verbs and no nouns."""
    return tuple(role for role, ready in networks.items() if ready.given_noun is not None)


def predict_video(
    work: Work, networks: Mapping[PredictorRole, Ready], video: PredictedVideo, clips: Sequence[ClipRecord]
) -> PredictBatchResult:
    """Predict one video, unless its result by these networks lies in the store."""
    prediction = Prediction(work.plan.prediction_uri)
    place = prediction.scored(video.video)
    earlier = finished(work.store, place)
    if earlier and earlier.engines.keys() == networks.keys():
        return earlier
    started = time.perf_counter()
    path, windows_path = (work.folder / f"{video.video}{ending}" for ending in (".parquet", ".windows.parquet"))
    sliding = sliding_over(work.plan, networks)
    bad, unheard = _score(work, networks, video, clips, path, sliding, windows_path)
    seconds = time.perf_counter() - started
    scored = [clip for clip in clips if clip.uid not in bad]
    work.store.write_file(place.clips, path)
    if sliding.roles:
        work.store.write_file(place.windows, windows_path)
    windows_path.unlink()
    warnings = _shortnesses(networks, video, scored)
    warnings += [SetAside(name=_place(video, clip), reason=NOTHING_TO_HEAR) for clip in scored if clip.uid in unheard]
    path.unlink()
    log.info("%s: %s", video.name, count(len(scored), "clip"))
    return finish(
        work.store,
        place,
        PredictBatchResult(
            videos=(
                ScoredVideo(
                    video=video.video,
                    name=video.name,
                    num_clips=len(scored),
                    scored_uri=place.clips,
                    windows_uri=place.windows if sliding.roles else None,
                ),
            ),
            set_aside=tuple(SetAside(name=_place(video, clip), reason=bad[clip.uid]) for clip in clips if clip.uid in bad),
            warnings=tuple(warnings),
            engines={role: ready.used for role, ready in networks.items()},
            verb_alone=verb_alone(networks),
            scoring_seconds=seconds,
            peak_memory_bytes=peak_memory_bytes(),
        ),
    )


def _score(
    work: Work,
    networks: Mapping[PredictorRole, Ready],
    video: PredictedVideo,
    clips: Sequence[ClipRecord],
    path: Path,
    sliding: Sliding,
    windows_path: Path,
) -> tuple[dict[str, str], set[str]]:
    """Write the networks' answers to `path`, and those on windows to `windows_path`.

    Returns:
        failed clips, by uid with the reason; the uids of clips in which a network has nothing to hear.

    Raises:
        BadVideo: no clip can be predicted.
        NotComparable: a logit of the second network is not a finite number.
    """
    bad: dict[str, str] = {}
    unheard: set[str] = set()
    specs = [spec for ready in networks.values() for spec in ready.specs]
    with (
        FramesAhead(work.store, clips, specs, work.frames, further=sliding.further) as ahead,
        ScoredWriter(path) as writer,
        ScoredWriter(windows_path) as windows,
    ):

        def load_or_reason(clip: ClipRecord) -> Inputs | str:
            try:
                inputs = Inputs(clip.num_frames, ahead.load(clip), ahead.load_further(clip))
            except BadInput as error:
                log.warning("set aside: %s: %s", _place(video, clip), error)
                return plain_reason(error)
            if any(is_silent(frames, spec) for frames, spec in zip(inputs.tested, specs, strict=True)):
                unheard.add(clip.uid)
            return inputs

        def answer(inputs: Inputs | str) -> Answer | str:
            return inputs if isinstance(inputs, str) else _answer(inputs, networks, sliding)

        # Left open by an error, it would keep prefetching into the folder that the next try uses.
        with closing(each_scored(clips, load_or_reason, answer)) as answers:
            for scored in answers:
                if isinstance(scored.answer, str):
                    bad[scored.clip.uid] = scored.answer
                    continue
                logits, features, noted = scored.answer
                try:
                    _require_readable(scored.clip, logits, work.plan)
                except BadCheckpoint as error:
                    log.warning("set aside: %s: %s", _place(video, scored.clip), error)
                    bad[scored.clip.uid] = plain_reason(error)
                    continue
                novelty = None if work.known is None else float(distances_to_nearest(features[None], work.known)[0])
                writer.add(scored.clip, logits, features, novelty)
                for window, on_window in sliding.reach(scored.clip, logits, noted):
                    if _is_readable(window, on_window, work.plan):
                        windows.add(window, on_window, NO_FEATURES, None)
    if len(bad) == len(clips):
        raise BadVideo(f"none of its clips can be predicted: {next(iter(bad.values()))}")
    return bad, unheard


def _is_readable(window: ClipRecord | Window, logits: LogitsByRole, plan: PredictPlanResult) -> bool:
    """Check whether the model's logits of a window are finite, and log it if not.

    Raises:
        NotComparable: a logit of the second network is not finite.
    """
    try:
        _require_readable(window, logits, plan)
    except BadCheckpoint as error:
        log.warning("left out of the intervals: %s", error)
        return False
    return True


def _require_readable(clip: ClipRecord | Window, logits: LogitsByRole, plan: PredictPlanResult) -> None:
    """Require finite logits for a clip.

    Raises:
        BadCheckpoint: a logit of the model is not a finite number.
        NotComparable: a logit of the second network is not.
    """
    require_finite(clip, *logits["model"])
    if plan.against and "against" in logits:
        try:
            require_finite(clip, *logits["against"])
        except BadCheckpoint as error:
            raise NotComparable(f"{plan.against.label} is left out of one batch: {error}") from error


def _shortnesses(networks: Mapping[PredictorRole, Ready], video: PredictedVideo, clips: Sequence[ClipRecord]) -> list[SetAside]:
    """List the clips with fewer flow fields than a network needs, and log them."""
    if not any(spec.flow for ready in networks.values() for spec in ready.specs):
        return []
    short = [SetAside(name=_place(video, clip), reason=reason) for clip in clips if (reason := shortness(clip))]
    for warning in short:
        log.warning("%s: %s", warning.name, warning.reason)
    return short


def _place(video: PredictedVideo, clip: ClipRecord) -> str:
    """Name a clip by its video and its seconds."""
    return f"{video.name}, {clip.start_seconds:g}-{clip.stop_seconds:g} s"


def _answer(inputs: Inputs, networks: Mapping[PredictorRole, Ready], sliding: Sliding) -> Answer:
    """Score one clip by each network: logits, verb (v,) and noun (n,), features (f,), and what windows need of it.

    The features are of the model's first backbone.
    """
    logits: dict[PredictorRole, tuple[Logits, Logits]] = {}
    noted: dict[PredictorRole, Noted] = {}
    features = np.empty(0, np.float32)
    by_network = zip(networks.items(), _dealt(inputs.tested, networks), _dealt(inputs.further, networks), strict=True)
    for (role, ready), own, further in by_network:
        seen = ready.scorer.see(own)
        logits[role] = ready.named(ready.scorer.answer(seen))
        if role == "model":
            features = centre(seen).numpy()
        if role in sliding.networks:
            noted[role] = sliding.networks[role].note(inputs.num_frames, seen, further)
    return logits, features, noted


def _dealt(inputs: Sequence[Frames], networks: Mapping[PredictorRole, Ready]) -> Iterator[Sequence[Frames]]:
    """Deal each checkpoint the frames of its own networks."""
    start = 0
    for ready in networks.values():
        yield inputs[start : start + len(ready.specs)]
        start += len(ready.specs)

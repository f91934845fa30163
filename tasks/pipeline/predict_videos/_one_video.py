"""Predict one video by both networks, clip by clip."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tasks.data.clips.flow_and_sound import shortness
from tasks.data.clips.frame_cache import FramesAhead
from tasks.data.clips.stored_clips import StoredClip, clip_uid
from tasks.errors import BadCheckpoint, BadInput, BadVideo, RetakeError
from tasks.judge.statistics.scoring import Logits, each_scored, peak_memory_bytes, require_finite
from tasks.learn.engines.scorer import BetweenClips, Noted, centre
from tasks.learn.inputs.snippets import further_frames, is_silent, sees_single_frames, slides, window_grid
from tasks.learn.networks.spec import NetworkSpec
from tasks.pipeline._results import earlier_result, finish, log
from tasks.pipeline.predict_videos._engines import Frames, Ready
from tasks.predict.scored_video import ScoredWriter, Window
from tasks.predict.to_label import Features, distances_to_nearest
from tasks.store.objects import Store
from tasks.store.records.prediction import PredictBatchResult, PredictedVideo, PredictorRole, PredictPlanResult, ScoredVideo
from tasks.store.records.record import SetAside
from tasks.store.records.video import ClipRecord
from tasks.store.run_layout import Prediction
from tasks.wording import count, plain_reason

NotedByRole = Mapping[PredictorRole, Noted]
LogitsByRole = Mapping[PredictorRole, tuple[Logits, Logits]]


@dataclass
class Sliding:
    """A scorer of the windows of one video, with its clips among them.

    Without a stride there are no `roles`. `roles` answer the windows, and `networks` those between clips, on the engines of `ready`. If the
    model cannot see beyond the end of a clip, there are no `networks`, and the clips are all windows.
    """

    roles: tuple[PredictorRole, ...]
    ready: Mapping[PredictorRole, Ready]
    networks: Mapping[PredictorRole, BetweenClips]
    fps: int
    _before: tuple[ClipRecord, NotedByRole] | None = field(default=None, init=False)

    def further(self, clip: StoredClip, spec: NetworkSpec) -> tuple[int, ...]:
        """List the frames of a clip that its windows need, besides those of its test."""
        return further_frames(clip.num_frames, spec, self.networks["model"].grid) if self.networks else ()

    def reach(self, clip: ClipRecord, logits: LogitsByRole, noted: NotedByRole) -> Iterator[tuple[ClipRecord | Window, LogitsByRole]]:
        """Yield the windows between the clip before and this clip, then this clip, with logits.

        There are no windows beside a clip that was left out.
        """
        if not self.roles:
            return
        if self.networks and self._before:
            before, clip_frames = self._before[0], self.networks["model"].grid.clip_frames
            if before.stop_seconds == clip.start_seconds and before.num_frames == clip_frames:
                yield from self._between(*self._before, clip, noted)
        self._before = (clip, noted)
        yield clip, {role: logits[role] for role in self.roles}

    def _between(
        self, first: ClipRecord, first_noted: NotedByRole, second: ClipRecord, noted: NotedByRole
    ) -> Iterator[tuple[ClipRecord | Window, LogitsByRole]]:
        roles = list(self.networks)
        each = (self.networks[role].logits(first_noted[role], noted[role], second.num_frames) for role in roles)
        for answers in zip(*each, strict=True):
            start = first.start_seconds + answers[0][0] / self.fps
            stop = start + first.num_frames / self.fps
            window = Window(clip_uid(first.video, start, stop), "", start, stop)
            yield window, {role: self.ready[role].named(logits) for role, (_, logits) in zip(roles, answers, strict=True)}


def sliding_over(plan: PredictPlanResult, networks: Mapping[PredictorRole, Ready]) -> Sliding:
    """Choose the networks that score windows; if the model cannot, clips are the windows."""
    stride = plan.predict.stride_seconds
    able = {role: ready for role, ready in networks.items() if all(map(slides, ready.specs))}
    if stride is None or "model" not in able:
        return Sliding(() if stride is None else tuple(networks), {}, {}, plan.segment.fps)
    grid = window_grid(plan.segment, stride)
    return Sliding(tuple(able), able, {role: BetweenClips(ready.scorer, grid) for role, ready in able.items()}, plan.segment.fps)


def without_windows(plan: PredictPlanResult, networks: Mapping[PredictorRole, Ready]) -> tuple[str, ...]:
    """Say which networks cannot see windows between clips; log the cost of other windows."""
    stride = plan.predict.stride_seconds
    if stride is None:
        return ()
    labels = {role: plan.predictors[role].label for role in networks}
    unable = [role for role, ready in networks.items() if not all(map(slides, ready.specs))]
    if "model" in unable:
        return (
            f"intervals begin and end with clips, whatever the stride: {labels['model']} sees optical flow or described sound, which ends with "
            "each clip",
        )
    grid = window_grid(plan.segment, stride)
    for role, ready in networks.items():
        for spec in ready.specs if role not in unable else ():
            if sees_single_frames(spec):
                number = len(further_frames(grid.clip_frames, spec, grid))
                log.info("windows of %s share features; for each clip they need %s more", labels[role], count(number, "frame"))
            else:
                log.info("windows of %s are computed whole, because its features are not of single frames", labels[role])
    return tuple(f"no intervals by {labels[role]}: it sees optical flow or described sound, which ends with each clip" for role in unable)


@dataclass(frozen=True)
class Inputs:
    """A clip's inputs for each network: snippets of a test, and further frames of windows."""

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
    """Inputs of every video of a batch; `known` is (m, f), `frames` for decoded frames."""

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
    earlier = earlier_result(work.store, place)
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
                if reason := _why_unusable(scored.clip, logits, work.plan):
                    log.warning("set aside: %s: %s", _place(video, scored.clip), reason)
                    bad[scored.clip.uid] = plain_reason(reason)
                    continue
                novelty = None if work.known is None else float(distances_to_nearest(features[None], work.known)[0])
                writer.add(scored.clip, logits, features, novelty)
                for window, on_window in sliding.reach(scored.clip, logits, noted):
                    if reason := _why_unusable(window, on_window, work.plan):
                        log.warning("left out of the intervals: %s", reason)
                    else:
                        windows.add(window, on_window, NO_FEATURES, None)
    if len(bad) == len(clips):
        raise BadVideo(f"none of its clips can be predicted: {next(iter(bad.values()))}")
    return bad, unheard


def _why_unusable(clip: ClipRecord | Window, logits: LogitsByRole, plan: PredictPlanResult) -> str:
    """Say why the model's logits of a clip are not used, or nothing.

    Raises:
        NotComparable: a logit of the second network is not finite.
    """
    try:
        require_finite(clip, *logits["model"])
    except BadCheckpoint as error:
        return str(error)
    if plan.against and "against" in logits:
        try:
            require_finite(clip, *logits["against"])
        except BadCheckpoint as error:
            raise NotComparable(f"{plan.against.label} is left out of one batch: {error}") from error
    return ""


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
    """Score one clip by each network.

    Returns:
        logits, verb (v,) and noun (n,), the features (f,) of the model's first backbone, and notes for the windows.
    """
    logits: dict[PredictorRole, tuple[Logits, Logits]] = {}
    noted: dict[PredictorRole, Noted] = {}
    features = np.empty(0, np.float32)
    by_network = zip(networks.items(), _frames_of_each(inputs.tested, networks), _frames_of_each(inputs.further, networks), strict=True)
    for (role, ready), own, further in by_network:
        seen = ready.scorer.see(own)
        logits[role] = ready.named(ready.scorer.answer(seen))
        if role == "model":
            features = centre(seen).numpy()
        if role in sliding.networks:
            noted[role] = sliding.networks[role].note(inputs.num_frames, seen, further)
    return logits, features, noted


def _frames_of_each(inputs: Sequence[Frames], networks: Mapping[PredictorRole, Ready]) -> Iterator[Sequence[Frames]]:
    """Yield for each checkpoint the frames of its own networks."""
    start = 0
    for ready in networks.values():
        yield inputs[start : start + len(ready.specs)]
        start += len(ready.specs)

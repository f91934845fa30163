"""Score the windows of a video while its clips are scored, so that both share frames and features."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tasks.data.clips.stored_clips import StoredClip, clip_uid
from tasks.judge.statistics.scoring import Logits
from tasks.learn.engines.scorer import BetweenClips, Noted
from tasks.learn.inputs.snippets import further_frames, sees_single_frames, slides, window_grid
from tasks.learn.networks.spec import NetworkSpec
from tasks.pipeline._results import log
from tasks.pipeline.predict_videos._ready import Ready
from tasks.predict.scored import Window
from tasks.store.records.prediction import PredictorRole, PredictPlanResult
from tasks.store.records.video import ClipRecord
from tasks.wording import count

NotedByRole = Mapping[PredictorRole, Noted]
LogitsByRole = Mapping[PredictorRole, tuple[Logits, Logits]]


@dataclass
class Sliding:
    """Scores the windows of one video; its clips are among them. Without a stride there are no `roles`, and none is scored.

    `roles` answer the windows. `networks` score those between clips, and `ready` are the same on their engines; if the model cannot see
    beyond the end of a clip, there are none, and the clips are all windows.
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
        """Yield the windows between the clip before and this one, then this one, with their logits by network.

        There are none beside a clip that was left out.
        """
        if not self.roles:
            return
        if self.networks and self._before and _follows(clip, self._before[0], self.networks["model"].grid.clip_frames):
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


def _follows(clip: ClipRecord, before: ClipRecord, clip_frames: int) -> bool:
    return before.stop_seconds == clip.start_seconds and before.num_frames == clip_frames


def sliding_over(plan: PredictPlanResult, networks: Mapping[PredictorRole, Ready]) -> Sliding:
    """Prepare to score the windows of one video by the networks that can see them, or its clips if the model cannot."""
    stride = plan.predict.stride_seconds
    able = {role: ready for role, ready in networks.items() if all(map(slides, ready.specs))}
    if stride is None or "model" not in able:
        return Sliding(() if stride is None else tuple(networks), {}, {}, plan.segment.fps)
    grid = window_grid(plan.segment, stride)
    return Sliding(tuple(able), able, {role: BetweenClips(ready.scorer, grid) for role, ready in able.items()}, plan.segment.fps)


def without_windows(plan: PredictPlanResult, networks: Mapping[PredictorRole, Ready]) -> tuple[str, ...]:
    """Say which networks cannot see windows between clips, and log what the windows of the others cost."""
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

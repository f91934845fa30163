"""Write intervals as a CSV table, as WebVTT tracks, and as JSON in the format of ActivityNet's results."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tasks.csv_table import csv_table
from tasks.data.labels.video_names import without_extension
from tasks.predict.found_intervals import FoundIntervals
from tasks.predict.gathering import file_stem
from tasks.predict.intervals import Interval
from tasks.predict.names import Names
from tasks.predict.timeline import ShownInterval
from tasks.predict.tracks import Cue, block, opening
from tasks.store.records.prediction import KnownInterval, PredictorRole, PredictPlanResult, ScoredVideo
from tasks.wording import plain_cell

COLUMNS = (
    "video",
    "video_sha256",
    "network",
    "start_seconds",
    "stop_seconds",
    "verb",
    "noun",
    "action",
    "verb_class",
    "noun_class",
    "probability",
)
NUM_DECIMALS = 6
ACTIVITYNET_VERSION = "VERSION 1.3"


def shown_intervals(one: FoundIntervals, names: Names) -> dict[PredictorRole, tuple[ShownInterval, ...]]:
    """Name the intervals of a video for the page, those that are not reported too."""
    not_reported = {role: set(own) for role, own in one.not_reported.items()}
    return {
        role: tuple(
            ShownInterval(i.start_seconds, i.stop_seconds, _action(i, names), i.probability, is_not_reported=i in not_reported[role])
            for i in own
        )
        for role, own in one.found.items()
    }


def shown_labels(video: str, labelled: Sequence[KnownInterval], names: Names) -> tuple[ShownInterval, ...]:
    """Name the labelled intervals of a video for the page."""
    return tuple(ShownInterval(one.start_seconds, one.stop_seconds, _action(one, names), None) for one in labelled if one.video == video)


def write_intervals(
    plan: PredictPlanResult, found: Sequence[FoundIntervals], names: Names, video_names: Mapping[str, str], folder: Path
) -> None:
    """Write `intervals.csv`, `tracks/*.intervals.vtt` and `intervals.<network>.json` with the reported intervals.

    `not_reported.csv` has the others. `video_names` are those that exported labels have.
    """
    columns = [column for column in COLUMNS if "noun" in names.targets or not column.startswith(("noun", "action"))]
    for name, of_videos in (("intervals", [one.reported for one in found]), ("not_reported", [one.not_reported for one in found])):
        rows = [row for one, by_role in zip(found, of_videos, strict=True) for row in _rows(plan, one.video, by_role, names)]
        (folder / f"{name}.csv").write_bytes(csv_table(columns, ({column: plain_cell(row[column]) for column in columns} for row in rows)))
    (folder / "tracks").mkdir(exist_ok=True)
    for one in found:
        for role, own in one.reported.items():
            title = f"when: {plan.predictors[role].label} on {one.video.name}, {one.video.video}"
            cues = (block(Cue(i.start_seconds, i.stop_seconds, _action(i, names), i.probability)) for i in own)
            (folder / "tracks" / f"{file_stem(one.video)}.{role}.intervals.vtt").write_text(
                opening(title) + "".join(cues), encoding="utf-8"
            )
    for role in {role: None for one in found for role in one.reported}:
        (folder / f"intervals.{role}.json").write_text(_activitynet(found, role, names, video_names), encoding="utf-8")


def _rows(
    plan: PredictPlanResult, video: ScoredVideo, by_role: Mapping[PredictorRole, Sequence[Interval]], names: Names
) -> list[dict[str, object]]:
    return [
        {
            "video": video.name,
            "video_sha256": video.video,
            "network": plan.predictors[role].label,
            "start_seconds": round(interval.start_seconds, 3),
            "stop_seconds": round(interval.stop_seconds, 3),
            "verb": names.name("verb", interval.verb_class),
            "noun": names.name("noun", interval.noun_class),
            "action": _action(interval, names),
            "verb_class": interval.verb_class,
            "noun_class": interval.noun_class,
            "probability": round(interval.probability, NUM_DECIMALS),
        }
        for role, own in by_role.items()
        for interval in own
    ]


def _activitynet(found: Sequence[FoundIntervals], role: PredictorRole, names: Names, video_names: Mapping[str, str]) -> str:
    """Write one network's intervals by video, as ActivityNet's detection challenge takes them."""
    results = {
        without_extension(video_names[one.video.video]): [
            {
                "label": _action(interval, names),
                "score": round(interval.probability, NUM_DECIMALS),
                "segment": [round(interval.start_seconds, 3), round(interval.stop_seconds, 3)],
            }
            for interval in one.reported.get(role, ())
        ]
        for one in found
    }
    return json.dumps({"version": ACTIVITYNET_VERSION, "results": results, "external_data": {"used": False}}, ensure_ascii=False, indent=1)


def _action(interval: Interval | KnownInterval, names: Names) -> str:
    return names.name("action", names.action(interval.verb_class, interval.noun_class))

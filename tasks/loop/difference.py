"""Compare two datasets. STUB."""

from dataclasses import dataclass
from typing import Any

from tasks.store.records.dataset import Manifest


@dataclass(frozen=True)
class Difference:
    """What two datasets do not share."""

    videos_added: tuple[Any, ...] = ()
    videos_removed: tuple[Any, ...] = ()
    clips_added: tuple[Any, ...] = ()
    clips_removed: tuple[Any, ...] = ()
    relabelled: tuple[Any, ...] = ()
    moved: tuple[Any, ...] = ()
    classes_added: tuple[str, ...] = ()
    classes_removed: tuple[str, ...] = ()
    splits: tuple[Any, ...] = ()


def difference(before: Manifest, after: Manifest) -> Difference:
    """Compare two datasets."""
    known = {clip.uid for clip in before.clips}
    added = [clip for clip in after.clips if clip.uid not in known]
    return Difference(
        clips_added=tuple(
            {
                "uid": clip.uid,
                "name": clip.names[0],
                "start_seconds": clip.start_seconds,
                "stop_seconds": clip.stop_seconds,
                "before": "",
                "after": f"{clip.verb} {clip.noun}",
            }
            for clip in added
        )
    )

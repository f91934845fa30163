"""Select the labels of clips that come from folders and files.

Those of the page are in the log.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tasks.data.clips.label_inputs import annotation_objects, probe_objects
from tasks.data.labels.ledger import Ledger
from tasks.data.labels.page_labels import PAGE
from tasks.pages.label.clips import Cut
from tasks.pages.label.queue import FOLDER, Known, Words, renamed
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.records.dataset import NO_OBJECT, LabelledClip, Problem

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class FileLabel:
    """A label by a folder or a line of a file.

    It lies over the clips in a row that it labels.
    """

    video: str
    start_seconds: float
    stop_seconds: float
    words: Words
    uids: tuple[str, ...]


@dataclass(frozen=True)
class Uploads:
    """Times at which annotation files and videos came to the store.

    Files are found by name, records of videos by address.
    """

    store_uri: str
    files: Mapping[str, str]
    records: Mapping[str, str]

    @classmethod
    def of(cls, store: Store, store_uri: str) -> "Uploads":
        """List them."""
        files = {one.name: one.modified for one in annotation_objects(store, store_uri)}
        return cls(store_uri, files, {one.uri: one.modified for one in probe_objects(store, store_uri)})

    def since(self, origin: str, video: str) -> str:
        """Find out when a label came: with its file, or its folder with the video.

        Empty if the file has gone.
        """
        if origin.startswith(FOLDER):
            return self.records.get(Layout(self.store_uri).video(video).probe.uri, "")
        names = (origin, origin.rpartition(":")[0], origin.partition(", ")[0])
        return next((self.files[name] for name in names if name in self.files), "")


def known_labels(clips: Iterable[LabelledClip], uploads: Uploads) -> dict[str, Known]:
    """Select the labels of folders and files, by the uid of the clip."""
    return {
        label.clip.uid: Known(Words(label.verb, label.noun or NO_OBJECT, label.origin, uploads.since(label.origin, label.clip.video)))
        for label in clips
        if label.verb and label.origin and label.origin != PAGE
    }


def unread_files(problems: Sequence[Problem]) -> tuple[str, ...]:
    """Name the files that cannot be read, and those with unusable lines.

    Lines are only counted: their reasons may tell what a second reader is not to know.
    """
    num_lines = Counter(problem.file for problem in problems if problem.line is not None)
    return (
        *(f"{problem.file}: {problem.reason}" for problem in problems if problem.line is None),
        *(
            f"{file}: {number:,} of its lines cannot be used; the task label of build_dataset names them"
            for file, number in num_lines.items()
        ),
    )


def file_labels(cut: Cut, known: Mapping[str, Known]) -> dict[str, list[FileLabel]]:
    """List the labels of each video by time."""
    found: dict[str, list[FileLabel]] = {}
    for clip in cut.clips.values():
        if clip.uid not in known:
            continue
        own, words = found.setdefault(clip.video, []), known[clip.uid].words
        last = own[-1] if own else None
        if last and (last.words, last.stop_seconds) == (words, clip.start_seconds):
            own[-1] = replace(last, stop_seconds=clip.stop_seconds, uids=(*last.uids, clip.uid))
        else:
            own.append(FileLabel(clip.video, clip.start_seconds, clip.stop_seconds, words, (clip.uid,)))
    return found


def of_file(ledger: Ledger, one: FileLabel) -> Json:
    """Describe a label for the page, where it can be answered over."""
    words = renamed(ledger, one.words)
    span = {"video": one.video, "start_seconds": one.start_seconds, "stop_seconds": one.stop_seconds}
    about = {"answer": "action", "verb": words.verb, "noun": words.noun, "by": words.origin, "at": words.at}
    return {"kind": "file", "uid": one.uids[0], **span, **about}

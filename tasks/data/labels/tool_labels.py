"""Turn the labels of other tools' files into lines of clips and intervals."""

import re
from collections.abc import Iterable, Iterator

from pydantic import ValidationError

from tasks.data.labels.folders import FolderReader
from tasks.data.labels.formats.found import Found, Said, Videos
from tasks.data.labels.problems import Refusals
from tasks.data.labels.rows import MAX_SECONDS, ClipRow, IntervalRow, LabelRow, reason_of
from tasks.data.labels.vocabulary import Lexicon, normal_name
from tasks.store.records.dataset import NO_OBJECT

ROUNDING_SECONDS = 1e-6


class ToolLabels:
    """Makes rows of labels.

    Equal labels share one record, and lines of one video its name, because there may be a million.
    """

    def __init__(self, videos: Videos) -> None:
        self._videos = videos
        self._labels: dict[Said, LabelRow | str] = {}
        self._video: tuple[tuple[str, ...], str] = (), ""

    def rows(self, found: Iterable[Found], refused: Refusals) -> Iterator[ClipRow | IntervalRow]:
        """Yield a row for each label with verb and noun; unusable ones are added to `refused`."""
        for item in found:
            try:
                yield self._row(item)
            except ValueError as error:
                refused.add(item.line, str(error))

    def _row(self, item: Found) -> ClipRow | IntervalRow:
        label = self._labels.get(item.said) or self._labels.setdefault(item.said, _label(item))
        if isinstance(label, str):
            raise ValueError(label)
        if self._video[0] != item.video:
            self._video = item.video, self._name(item.video)
        video = self._video[1]
        if not video:
            raise ValueError("the name of its video is empty")
        start, stop = item.start_seconds, item.stop_seconds
        if start is None or stop is None:
            return ClipRow(item.line, label, video, None)
        # A tool may write a start that rounding has put before the video's first frame.
        start = 0.0 if -ROUNDING_SECONDS < start < 0 else start
        if start < 0:
            raise ValueError(f"its start, {start:g} s, is negative")
        if stop <= start:
            raise ValueError(f"its end, {stop:g} s, is not after its start, {start:g} s")
        if stop > MAX_SECONDS:
            raise ValueError(f"its end, {stop:g} s, is more than {MAX_SECONDS} s")
        return IntervalRow(item.line, label, video, start, stop)

    def _name(self, names: tuple[str, ...]) -> str:
        return names[0] if len(names) == 1 else next((name for name in names if self._videos.finds(name)), names[0])


def _label(item: Found) -> LabelRow | str:
    said = item.said
    ids = {name: "" if one is None else str(one) for name, one in (("verb_class", said.verb_class), ("noun_class", said.noun_class))}
    try:
        return LabelRow.model_validate({"line": item.line, "verb": said.verb, "noun": said.noun, **ids})
    except ValidationError as error:
        return reason_of(error)


def split_text(text: str, verbs: Lexicon, nouns: Lexicon) -> tuple[str, str]:
    """Read a text such as `put meat` as a verb and a noun.

    Two words are a verb and a noun, unless they are a known verb together. Otherwise a known verb at the start wins, as in folder names; else
    the first word is the verb. Words are split at spaces and slashes, else at `_`; `-` alone joins the words of one name.

    Raises:
        ValueError: its verb is left out, or means no class or two.
    """
    words = text.replace("/", " ").split()
    words = [word for word in re.split("_+", words[0]) if word] if len(words) == 1 else words
    first, *rest = map(normal_name, words or [""])
    if len(rest) == 1 and not ("-".join([first, *rest]) in verbs and rest[0] not in nouns):
        return first, rest[0]
    if known := FolderReader(verbs, nouns).known((" ".join(words),)):
        return known.verb, known.noun
    return first, "-".join(rest) or NO_OBJECT

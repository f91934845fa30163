"""Read the folders of all videos as labels.

Known words are read first, then new words in the context of the other folders.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass

from tasks.data.labels.folders import Certainty, FolderLabel, FolderReader, Folders
from tasks.data.labels.vocabulary import Lexicon, normal_name, require_no_object
from tasks.wording import quoted


@dataclass(frozen=True)
class FolderLabels:
    """The labels that videos get from folders, and why other folders are not labels."""

    label_by_video: Mapping[str, FolderLabel]
    reason_by_video: Mapping[str, str]


def read_folders(
    names: Mapping[str, tuple[str, ...]], in_files: Set[str], verbs: Lexicon, nouns: Lexicon, numbered: Set[str]
) -> FolderLabels:
    """Read the folders in every name of every video.

    `in_files` are the videos that annotation files label. If they label some videos of a folder, a new word in its name is not a verb, unless
    it is in `numbered`, the verbs that the store has given ids.
    """
    videos: defaultdict[Folders, set[str]] = defaultdict(set)
    for video, own in names.items():
        for name in own:
            videos[folders_of(name)].add(video)
    labels, reasons = _read_paths(videos.keys(), FolderReader(verbs, nouns))
    in_use = {path[:depth] for path, own in videos.items() if own & in_files for depth in range(1, len(path) + 1)}
    for path, label in list(labels.items()):
        if label.certainty >= Certainty.NEW_WORDS and label.verb not in numbered and label.path in in_use:
            reasons[path] = f"annotation files label some of its videos without using its verb; {_remedy(labels.pop(path))}"
    if len({(label.verb, label.noun) for label in labels.values()}) == 1:
        for path in [path for path, label in labels.items() if label.certainty is Certainty.NEW_WORD_ALONE]:
            reasons[path] = f"is a single word, and no other folder is a label; {_remedy(labels.pop(path))}"
    return _by_video(names, labels, reasons)


def _remedy(label: FolderLabel) -> str:
    return f"if it is a label, add verb,{label.verb},{label.verb} to classes.csv"


def folders_of(name: str) -> Folders:
    """Split a relative path, with slashes or backslashes, into its folders."""
    return tuple(part for part in name.replace("\\", "/").split("/")[:-1] if part not in ("", "."))


def _read_paths(paths: Iterable[Folders], reader: FolderReader) -> tuple[dict[Folders, FolderLabel], dict[Folders, str]]:
    """Read every path: known verbs first, then two words, then the rest.

    The parent folder of a label is not read as a word of another.
    """
    labels, reasons = dict[Folders, FolderLabel](), dict[Folders, str]()
    filled = sorted(path for path in paths if path)
    depths = {path: reader.depths(path) for path in filled}
    num_common = _num_common([[normal_name(path[depth]) for depth in depths[path]] for path in filled])

    def read_by(read: Callable[[Folders], FolderLabel | None]) -> None:
        for path in filled:
            if path not in labels and path not in reasons:
                try:
                    if label := read(path):
                        require_no_object(label.verb, label.noun)
                        labels[path] = label
                except ValueError as error:
                    reasons[path] = f"is not a label: {error}"

    read_by(reader.known)
    read_by(lambda path: reader.phrase(path, depths[path][num_common:]))
    holders = {holder for label in labels.values() for holder in label.holders}
    read_by(lambda path: reader.words(path, [depth for depth in depths[path][num_common:] if path[: depth + 1] not in holders]))
    for path in filled:
        if path not in labels and path not in reasons:
            reasons[path] = reader.why_no_label(path[-1]) or "contains folders that are labels, so it is not a label"
    return labels, reasons


def _num_common(paths: list[list[str]]) -> int:
    """Count the leading folders that all paths share, except their last: they distinguish nothing."""
    filled = [path for path in paths if path]
    num_common = 0
    while filled and all(len(path) > num_common + 1 and path[num_common] == filled[0][num_common] for path in filled):
        num_common += 1
    return num_common


def _by_video(names: Mapping[str, tuple[str, ...]], labels: Mapping[Folders, FolderLabel], reasons: Mapping[Folders, str]) -> FolderLabels:
    label_by_video, reason_by_video = {}, {}
    for video, own in names.items():
        paths = sorted({folders_of(name) for name in own})
        found = [labels[path] for path in paths if path in labels]
        surest = _surest(found)
        if len({(label.verb, label.noun) for label in surest}) > 1:
            said = ", ".join(sorted({quoted(label.folder) for label in surest}))
            reason_by_video[video] = f"the same video is in folders with different labels: {said}"
        elif surest:
            label_by_video[video] = surest[0]
        elif reason := next((reasons[path] for path in paths if path in reasons), ""):
            reason_by_video[video] = reason
    return FolderLabels(label_by_video, reason_by_video)


def _surest(labels: list[FolderLabel]) -> list[FolderLabel]:
    """Keep only the most certain labels: known verbs, else two words, else one word.

    Drop a verb without a noun if the same verb with a noun is there.
    """
    for least_sure in (Certainty.KNOWN_VERB_ALONE, Certainty.NEW_WORDS, Certainty.NEW_WORD_ALONE):
        if sure := [label for label in labels if label.certainty <= least_sure]:
            with_noun = {label.verb for label in sure if label.certainty is Certainty.KNOWN}
            return [label for label in sure if label.certainty is not Certainty.KNOWN_VERB_ALONE or label.verb not in with_noun]
    return []

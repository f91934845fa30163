"""Define the results of label, split and dataset, and the manifest of a dataset."""

from tasks.options import SplitOptions
from tasks.store.records.record import TARGETS, VERB_ALONE, KeptLabelOptions, KeptSegmentOptions, Record, SetAside, SplitName, Target, later
from tasks.store.records.video import ClipRecord, Interval, WebPage

NUM_EPIC_VERBS, NUM_EPIC_NOUNS = 125, 352
NO_OBJECT = "(none)"
"""The noun of an action without an object, as in `wave`."""
MIN_VIDEOS_OF_AGREEMENT = 3
"""Fewest videos from which the agreement of two readers has an interval."""
NOTHING = "nothing"
"""The verb of a clip in which nothing happens. It is trained as a class, and counts in no score of actions."""


class Problem(Record):
    """A rejected line of an annotation file, or an overridden label.

    In a file without useful lines, such as JSON, `line` counts items and `item` names the item.
    """

    file: str
    line: int | None
    item: str = later("")
    reason: str

    @property
    def place(self) -> str:
        """Format file and line, for people."""
        if self.item:
            return f"{self.file}, {self.item}"
        return self.file if self.line is None else f"{self.file} line {self.line}"


class ClassRef(Record):
    """A class; ids from EPIC-KITCHENS-55's number of classes on are the store's own."""

    id: int
    name: str


class Vocabulary(Record):
    """The classes used by the labels; ids are indices into the heads' logits."""

    verbs: tuple[ClassRef, ...]
    nouns: tuple[ClassRef, ...]

    @property
    def num_verbs(self) -> int:
        """Count the verb outputs: EPIC's, and the store's up to the highest used id."""
        return max([NUM_EPIC_VERBS, *(verb.id + 1 for verb in self.verbs)])

    @property
    def num_nouns(self) -> int:
        """Count the noun outputs as `num_verbs` counts verbs."""
        return max([NUM_EPIC_NOUNS, *(noun.id + 1 for noun in self.nouns)])

    @property
    def has_objects(self) -> bool:
        """Check whether any label names an object; if none does, verbs are the only target."""
        return {noun.name for noun in self.nouns} != {NO_OBJECT}

    @property
    def nothing_verb(self) -> int | None:
        """Return the id of the verb `nothing`; None if no label says it."""
        return next((verb.id for verb in self.verbs if verb.name == NOTHING), None)

    @property
    def targets(self) -> tuple[Target, ...]:
        """List the targets that are measured and reported."""
        return TARGETS if self.has_objects else VERB_ALONE


def action_name(verb: str, noun: str) -> str:
    """Return the action's name, such as `put meat`; without an object, the verb alone."""
    return verb if noun == NO_OBJECT else f"{verb} {noun}"


Groups = tuple[tuple[str, str], ...]
"""Further columns of annotation files, such as `camera`, each with its value for a clip."""


class LabelledClip(Record):
    """A clip and its label, if known.

    Clips of one `source` must be in the same split. `second_action` also covers at least `min_overlap` of the clip.
    """

    clip: ClipRecord
    names: tuple[str, ...]
    source: str
    verb: str | None
    noun: str | None
    verb_class: int | None
    noun_class: int | None
    origin: str | None
    second_action: str | None = later(None)
    groups: Groups = later(())

    @property
    def action(self) -> str | None:
        """Join verb and noun to one name."""
        return None if self.verb is None or self.noun is None else action_name(self.verb, self.noun)


class ReadFolder(Record):
    """A folder name that labels clips; if `is_new`, no list or file has its verb."""

    folder: str
    verb: str
    noun: str
    is_new: bool
    num_clips: int

    @property
    def reading(self) -> str:
        """Describe the interpretation, for people."""
        return f"verb '{self.verb}', " + ("no object" if self.noun == NO_OBJECT else f"noun '{self.noun}'")


class Disagreement(Record):
    """A clip that two people label differently, and their labels."""

    uid: str
    first: str
    second: str


class Agreement(Record):
    """The agreement of two people on clips; the second did not see the first label.

    `kappa` is Cohen's, None if both give one and the same answer to all clips. `interval` is its 95 % interval over videos, None with fewer
    than `MIN_VIDEOS_OF_AGREEMENT`.
    """

    num_clips: int
    num_videos: int
    share: float
    kappa: float | None
    interval: tuple[float, float] | None
    differing: tuple[Disagreement, ...] = later(())

    @property
    def about_interval(self) -> str:
        """Describe kappa's interval, or the reason why there is none, after kappa's name."""
        if self.kappa is None:
            return " cannot be told, because both give one and the same answer to all clips"
        return ", 95 % interval over videos" if self.interval else f", without an interval, which takes {MIN_VIDEOS_OF_AGREEMENT} videos"


class Recording(Record):
    """Videos that are one recording, in its order; the first is its clips' source."""

    name: str
    videos: tuple[str, ...]
    files: tuple[str, ...]
    reason: str


class LabelsFile(Record):
    """`labels/<recipe>/labels.json`: every clip of one recipe, labelled or not.

    `without_clip` and `hints` say of each annotation file which of its intervals label no clip. `chosen` lists the videos where a model
    chose a clip that is labelled, on the page or in a filled-in list; `accepted` lists the clips whose label is a model's suggestion, None
    in older versions. `unsure` lists the clips without a label whose latest answer on the page is *unsure*. `recordings` are those of several
    videos.
    """

    recipe: str
    segment: KeptSegmentOptions
    options: KeptLabelOptions
    vocabulary: Vocabulary
    clips: tuple[LabelledClip, ...]
    problems: tuple[Problem, ...]
    changes: tuple[Problem, ...]
    folders: tuple[ReadFolder, ...] = ()
    left_out: tuple[SetAside, ...] = ()
    hints: tuple[str, ...] = ()
    agreement: Agreement | None = later(None)
    without_clip: tuple[str, ...] = later(())
    chosen: tuple[str, ...] = later(())
    accepted: tuple[str, ...] | None = later(None)
    unsure: tuple[str, ...] = later(())
    recordings: tuple[Recording, ...] = later(())
    web_pages: dict[str, WebPage] = later({})


class LabelResult(Record):
    """Summary of the labels, with the first entries of each list for people.

    `num_statements` is the length of the labelling page's log when it was read.
    """

    labels_uri: str
    inputs_digest: str
    num_statements: int = 0
    num_clips: int
    num_labelled: int
    num_unsure: int = later(0)
    num_problems: int
    num_changes: int
    first_problems: tuple[Problem, ...]
    first_changes: tuple[Problem, ...]
    num_new_folders: int = 0
    first_new_folders: tuple[ReadFolder, ...] = ()
    num_left_out: int = 0
    first_left_out: tuple[SetAside, ...] = ()
    num_hints: int = 0
    first_hints: tuple[str, ...] = ()
    recordings_uri: str | None = later(None)
    num_recordings: int = later(0)
    first_recordings: tuple[SetAside, ...] = later(())


class SplitResult(Record):
    """Number of labelled clips and source videos per split."""

    split_file_uri: str
    num_clips: dict[SplitName, int]
    num_sources: dict[SplitName, int]
    warnings: tuple[str, ...]


class DatasetClip(Record):
    """One labelled clip in its split; fields as in `LabelledClip` and `ClipRecord`."""

    uid: str
    split: SplitName
    source: str
    names: tuple[str, ...]
    video: str
    uri: str
    sha256: str
    start_seconds: float
    stop_seconds: float
    num_frames: int
    width: int
    height: int
    verb: str
    noun: str
    verb_class: int
    noun_class: int
    origin: str
    second_action: str | None = later(None)
    around: Interval | None = later(None)
    groups: Groups = later(())

    @property
    def action(self) -> str:
        """Join verb and noun to one name."""
        return action_name(self.verb, self.noun)

    @property
    def has_action(self) -> bool:
        """Check whether something happens; other clips count in no score of actions."""
        return self.verb != NOTHING


class SharedRecording(Record):
    """A recording with `num_clips` in `split`, val or test, and others in an earlier split."""

    name: str
    split: SplitName
    num_clips: int


class UnseenClip(Record):
    """A clip of val or test that is left out, because train lacks its action."""

    uid: str
    split: SplitName
    source: str
    action: str


class Manifest(Record):
    """`datasets/<digest>/manifest.json`, written last: everything that a training needs to know about its data.

    Of the fields that are None in older manifests, `drawn` lists the source videos of test that were drawn at random, `accepted` the clips
    whose label is a model's suggestion that a person accepted, and `chosen` the clips of videos where a model chose some.
    """

    recipe: str
    segment: KeptSegmentOptions
    label: KeptLabelOptions
    split: SplitOptions
    vocabulary: Vocabulary
    clips: tuple[DatasetClip, ...]
    excluded: tuple[SetAside, ...]
    warnings: tuple[str, ...]
    agreement: Agreement | None = later(None)
    without_clip: tuple[str, ...] = later(())
    unseen: tuple[UnseenClip, ...] | None = None
    drawn: tuple[str, ...] | None = None
    accepted: tuple[str, ...] | None = None
    chosen: tuple[str, ...] | None = None
    shared_recordings: tuple[SharedRecording, ...] = later(())
    web_pages: dict[str, WebPage] = later({})

    @property
    def train_actions(self) -> tuple[tuple[int, int], ...]:
        """List the pairs of verb and noun of the training clips."""
        return tuple(sorted({(clip.verb_class, clip.noun_class) for clip in self.clips if clip.split == "train"}))


class DatasetResult(Record):
    """`datasets/result.json`: the latest dataset, and in `made_by` the Airflow run that made it so.

    `num_nothing` counts the clips in which nothing happens; they are among `num_clips`, and no class of `num_classes`. `num_acting_sources`
    counts the source videos where something happens, and is empty in older records. Clips that a person is unsure of are not among
    `num_unlabelled`.
    """

    digest: str
    dataset_uri: str
    num_clips: dict[SplitName, int]
    num_sources: dict[SplitName, int]
    num_classes: dict[Target, int]
    num_nothing: dict[SplitName, int] = later({})
    num_acting_sources: dict[SplitName, int] = later({})
    num_unlabelled: int
    warnings: tuple[str, ...]
    made_by: str | None = later(None)

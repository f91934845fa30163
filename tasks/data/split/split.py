"""Split sources into train, val and test, which `datasets/split.csv` keeps for ever.

`labels.recordings` makes the videos of a recording one source. Videos never move, sources are never divided, and clips of val and test whose action train lacks are excluded.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TypeGuard

from tasks.data.labels.tables import Cells, open_table
from tasks.data.split.stratify import hash_share, shuffled, stratify
from tasks.errors import BadDataset, BadLabels
from tasks.options import SplitOptions
from tasks.store.records.dataset import NOTHING, LabelledClip, LabelsFile
from tasks.store.records.record import SPLITS, Record, SetAside, SplitName
from tasks.wording import csv_table, percent, plain_count, quoted, some

COLUMNS, DRAWN = ("source", "split"), "drawn"
LAYOUT = {"splits": COLUMNS}
ENOUGH_OFF = 0.25
"""Share by which a split may miss its target size without a warning; one clip is always allowed."""
MAX_CHANCE = 0.5
"""Highest chance that a new source goes to test while test is short, so that train gets new ones, too."""
MAX_LISTED = 5


class SplitAssignment(Record):
    """The split of every labelled source and video, excluded clips by uid, and warnings.

    A second call that keeps `remembered` and `drawn` gives the same result.
    """

    split_by_source: dict[str, SplitName]
    split_by_video: dict[str, SplitName]
    """The clips of a video in another split than its source are excluded."""
    drawn: frozenset[str]
    """The test videos that were drawn at random."""
    test_share: float
    """0 where nobody chose one, and no video is in test."""
    excluded: tuple[SetAside, ...]
    warnings: tuple[str, ...]

    @property
    def remembered(self) -> dict[str, SplitName]:
        """Merge the splits by source and by video hash, since people rename sources."""
        return self.split_by_source | self.split_by_video


def assign_splits(
    clips: Sequence[LabelledClip],
    kept: Mapping[str, SplitName],
    options: SplitOptions,
    drawn: frozenset[str] = frozenset(),
    chosen: Collection[str] = (),
) -> SplitAssignment:
    """Assign the sources of labelled clips to splits.

    Train has every verb, noun and action of the clips that val and test keep.

    Args:
        clips: all clips; those without an action are left out.
        kept: earlier splits of sources by name and of videos by hash. Such a video never moves, even if its source was renamed.
        drawn: the videos of earlier draws for test.
        chosen: the videos where a model chose clips to label.

    Raises:
        BadDataset: nothing is labelled, there is only one action, or train or val would be empty; the message says what to add.
    """
    labelled = sorted((clip for clip in clips if clip.action), key=lambda clip: clip.clip.uid)
    _stop_if_nothing_to_learn(labelled, len(clips))
    fixed = _fixed(labelled, kept)
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for clip in labelled:
        # A clip whose video is in another split than its source counts in neither.
        if all(kept.get(video, fixed.get(clip.source)) == fixed.get(clip.source) for video in _videos(clip)):
            counts[clip.source][str(clip.action)] += 1
    chosen_sources = {clip.source for clip in labelled if clip.clip.video in chosen}
    splits, new_test = _split_sources(counts, fixed, chosen_sources, options)
    split_by_video = {clip.clip.video: kept.get(clip.clip.video, splits[clip.source]) for clip in labelled}
    drawn_sources = new_test | {clip.source for clip in labelled if clip.clip.video in drawn}
    in_test = {clip.clip.video: clip.source for clip in labelled if split_by_video[clip.clip.video] == "test"}
    drawn_now = frozenset(video for video, source in in_test.items() if source in drawn_sources)
    test_share = options.test_share_of(len(counts)) if in_test or options.test_share is not None else 0.0
    train_actions = {action for source, own in counts.items() if splits[source] == "train" for action in own}
    split_of = {**kept, **split_by_video}
    misplaced = {clip.clip.uid: reason for clip in labelled if (reason := _why_misplaced(clip, splits[clip.source], split_of))}
    in_place = [clip for clip in labelled if clip.clip.uid not in misplaced]
    untaught = [clip for clip in in_place if splits[clip.source] != "train" and clip.action not in train_actions]
    reasons = misplaced | {
        clip.clip.uid: f"it is in {splits[clip.source]}, and no clip of train shows {quoted(str(clip.action))}" for clip in untaught
    }
    without_action = _test_without_action([clip for clip in labelled if clip.clip.uid not in reasons], splits)
    reasons |= dict.fromkeys(without_action, "it is in test, where nothing happens in any clip, so no action could be tested")
    used = [clip for clip in labelled if clip.clip.uid not in reasons]
    _stop_if_untrainable(used, splits, len({clip.source for clip in labelled}))
    return SplitAssignment(
        split_by_source=dict(sorted(splits.items())),
        split_by_video=dict(sorted(split_by_video.items())),
        drawn=drawn_now,
        test_share=test_share,
        excluded=tuple(SetAside(name=clip.clip.uid, reason=reasons[clip.clip.uid]) for clip in labelled if clip.clip.uid in reasons),
        warnings=(
            *_share_warnings(used, splits, options.val_share, None if drawn_now else options.test_share),
            *_exclusion_warnings(Counter(str(clip.action) for clip in untaught), len(misplaced), len(without_action)),
        ),
    )


def read_split_csv(content: bytes) -> dict[str, SplitName]:
    """Read the split of each source name and video hash, in the file's order.

    Raises:
        BadDataset: the file is damaged; the message names the line. Nothing is guessed, since that could move a test clip into train.
    """
    splits: dict[str, SplitName] = {}
    for line, cells in _lines(content):
        source, split = cells["source"], cells["split"]
        if not source or not _is_split(split):
            raise BadDataset(f"split.csv line {line}: {quoted(source)} has the split {quoted(split)}; write one of {', '.join(SPLITS)}")
        if source in splits:
            raise BadDataset(f"split.csv line {line} repeats {quoted(source)}; keep only one line")
        splits[source] = split
    return splits


def read_drawn(content: bytes) -> frozenset[str]:
    """Read which test videos were drawn at random, by hash; raises as `read_split_csv` does."""
    return frozenset(cells["source"] for _, cells in _lines(content) if cells.get(DRAWN))


def _lines(content: bytes) -> Iterator[tuple[int, Cells]]:
    try:
        lines = list(open_table(content, LAYOUT, LAYOUT).lines)
    except BadLabels as error:
        raise BadDataset(f"split.csv {error}; restore it from the store's backup or an older dataset") from None
    for line, cells in lines:
        if isinstance(cells, str):
            raise BadDataset(f"split.csv line {line} {cells}; correct that line")
        yield line, cells


def _is_split(text: str) -> TypeGuard[SplitName]:
    return text in SPLITS


def write_split_csv(kept: Mapping[str, SplitName], assigned: Mapping[str, SplitName], drawn: Collection[str] = ()) -> bytes:
    """Write `kept` in order, then the new lines of `assigned`, sorted; mark those `drawn`."""
    new = {source: assigned[source] for source in sorted(assigned.keys() - kept.keys())}
    marks = {source: {DRAWN: "yes"} for source in drawn}
    rows = ({"source": source, "split": split, **marks.get(source, {})} for source, split in {**kept, **new}.items())
    return csv_table((*COLUMNS, DRAWN) if drawn else COLUMNS, rows)


def keep_places(labels: LabelsFile, kept: Mapping[str, SplitName]) -> LabelsFile:
    """Divide the sources of recordings whose videos were assigned to several splits.

    So none of the videos moves or is left out. The videos of a split have the first of them as their source. Videos without a split go
    with those of train, else of val. `kept` has the splits of videos by hash.
    """
    source_by_video: dict[str, str] = {}
    for recording in labels.recordings:
        first: dict[SplitName, str] = {}
        for video in recording.videos:
            if video in kept:
                first.setdefault(kept[video], video)
        if len(first) > 1:
            split_of_new = min(first, key=SPLITS.index)
            source_by_video |= {video: first[kept.get(video, split_of_new)] for video in recording.videos}
    clips = tuple(
        clip.model_copy(update={"source": source_by_video[clip.clip.video]}) if clip.clip.video in source_by_video else clip
        for clip in labels.clips
    )
    return labels.model_copy(update={"clips": clips})


def no_label(num_clips: int) -> str:
    """Say that no clip has a label, and how to give one."""
    return (
        f"none of {plain_count(num_clips, 'clip')} has a label yet: label some on the page Label, name folders as in 'put meat' or 'wave', "
        "or add a CSV with uid,verb,noun or video,start_seconds,stop_seconds,verb,noun"
    )


def _stop_if_nothing_to_learn(labelled: Sequence[LabelledClip], num_clips: int) -> None:
    if not labelled:
        raise BadDataset(no_label(num_clips))
    actions = {clip.action for clip in labelled}
    if len(actions) == 1:
        raise BadDataset(
            f"all {plain_count(len(labelled), 'labelled clip')} show {quoted(str(labelled[0].action))}; training needs at least two actions: label another"
        )


def _fixed(labelled: Iterable[LabelledClip], kept: Mapping[str, SplitName]) -> dict[str, SplitName]:
    """Find the fixed split of each source.

    It is that of its videos, else its own, else that of videos in which its clips end. If its videos differ, its own is taken if it is among
    theirs.
    """
    of_videos: defaultdict[str, dict[str, SplitName | None]] = defaultdict(dict)
    of_next: defaultdict[str, set[SplitName]] = defaultdict(set)
    for clip in labelled:
        of_videos[clip.source][clip.clip.video] = kept.get(clip.clip.video)
        of_next[clip.source].update(kept[video] for video in _videos(clip) if video in kept)
    all_videos = {video for videos in of_videos.values() for video in videos}
    fixed = {}
    for source, videos in of_videos.items():
        splits_of_videos = {split for split in videos.values() if split}
        # A source may be named like another video's hash; then the row in split.csv is the video's.
        own = None if source in all_videos else kept.get(source)
        if own and (own in splits_of_videos or not splits_of_videos):
            fixed[source] = own
        elif splits := splits_of_videos or of_next[source]:
            fixed[source] = min(splits, key=SPLITS.index)
    return fixed


def _split_sources(
    counts: Mapping[str, Counter[str]], fixed: dict[str, SplitName], chosen: Collection[str], options: SplitOptions
) -> tuple[dict[str, SplitName], set[str]]:
    """Find the split of each source, and the new sources that were drawn for test.

    From 12 sources on, test is drawn at random among new sources, whatever they show. New sources of `chosen` go to train, because such clips are
    harder for the model, unless val would fall short of its share. Other shares of labelled clips are met as closely as whole sources allow.
    `counts` are the clips of each source by action.
    """
    seed, share = options.split_seed, options.test_share_of(len(counts))
    draws_test = options.draws_test(len(counts))
    shares: dict[SplitName, float] = {
        "train": 1 - options.val_share - share,
        "val": options.val_share,
        "test": 0 if draws_test else share,
    }
    new_train = set(chosen) - fixed.keys()
    # Beside earlier sources a short test catches up gradually, by twice its share; without any, the draw gives it its whole share.
    chance = max(share, min(2 * share, MAX_CHANCE)) if fixed else 1.0
    num_missing = round(share * len(counts)) - sum(fixed.get(source) == "test" for source in counts)
    new_test = _draw_test(counts.keys() - fixed.keys() - new_train, num_missing, chance, seed) if draws_test else set[str]()
    # If too little is left to train on, or val falls short, chosen sources need not be in train; if too little is left still, test is not drawn.
    for test, train in ((new_test, new_train), (new_test, set[str]()), (set[str](), set[str]())):
        in_train: dict[str, SplitName] = dict.fromkeys(train, "train")
        in_test: dict[str, SplitName] = dict.fromkeys(test, "test")
        splits = fixed | stratify(counts, fixed | in_train | in_test, shares, seed)
        num_val = sum(own.total() for source, own in counts.items() if splits[source] == "val")
        val_share = num_val / max(1, sum(map(Counter.total, counts.values())))
        if _can_train(counts, splits) and (not train or val_share >= (1 - ENOUGH_OFF) * options.val_share):
            break
    return splits, test


def _draw_test(new: Collection[str], num_missing: int, chance: float, seed: int) -> set[str]:
    """Draw new sources for test, each with this chance, until none is missing."""
    drawn = [source for source in shuffled(new, seed) if hash_share(source, seed) < chance]
    return set(drawn[: max(0, num_missing)])


def _can_train(counts: Mapping[str, Collection[str]], splits: Mapping[str, SplitName]) -> bool:
    """Check whether train has two actions, and val one of these."""
    train_actions = {action for source, own in counts.items() if splits[source] == "train" for action in own}
    return len(train_actions) > 1 and any(
        splits[source] == "val" and train_actions & set(own) - {NOTHING} for source, own in counts.items()
    )


def _videos(clip: LabelledClip) -> tuple[str, ...]:
    """List the videos that a clip shows."""
    return (clip.clip.video, clip.clip.next_video) if clip.clip.next_video else (clip.clip.video,)


def _why_misplaced(clip: LabelledClip, split: SplitName, split_of: Mapping[str, SplitName]) -> str | None:
    """Say which video of the clip is in another split than its source, if any."""
    # The dataset's digest covers these reasons: to reword one is to make other datasets of such clips.
    split_of_video = next((split_of[video] for video in _videos(clip) if split_of.get(video, split) != split), split)
    if split_of_video == split:
        return None
    return (
        f"its video is in {split_of_video}, its source {quoted(clip.source)} is in {split}, and no clip changes its split: "
        "give the video another source"
    )


def _test_without_action(used: Sequence[LabelledClip], splits: Mapping[str, SplitName]) -> set[str]:
    """List the clips of test if no action happens in any of them."""
    test = [clip for clip in used if splits[clip.source] == "test"]
    return set() if any(clip.verb != NOTHING for clip in test) else {clip.clip.uid for clip in test}


def _stop_if_untrainable(used: Sequence[LabelledClip], splits: Mapping[str, SplitName], num_sources: int) -> None:
    actions = {str(clip.action) for clip in used if splits[clip.source] == "train"}
    if len(actions) < 2:
        raise BadDataset(
            f"train has {plain_count(len(actions), 'action')} because split.csv keeps the other sources in val or test: "
            "add at least 1 source video that shows another labelled action"
        )
    if not any(splits[clip.source] == "val" for clip in used):
        why = (
            "all labelled clips come from one source video" if num_sources == 1 else f"each of the {num_sources} sources is needed in train"
        )
        raise BadDataset(
            f"val would be empty, but the best checkpoint is chosen on it: {why}. "
            f"Add at least 1 more source video that shows {' or '.join(sorted(map(quoted, actions))[:MAX_LISTED])}"
        )
    if not any(splits[clip.source] == "val" and clip.verb != NOTHING for clip in used):
        raise BadDataset(
            "nothing happens in any clip of val, so no action could be measured: "
            f"add at least 1 more source video that shows {' or '.join(sorted(map(quoted, actions - {NOTHING}))[:MAX_LISTED])}"
        )


def _share_warnings(
    used: Sequence[LabelledClip], splits: Mapping[str, SplitName], val_share: float, test_share: float | None
) -> Iterator[str]:
    """Warn from the resulting split alone, so that a rerun repeats the warnings."""
    got = Counter(splits[clip.source] for clip in used)
    sources_of_action: defaultdict[str, set[str]] = defaultdict(set)
    for clip in used:
        if splits[clip.source] == "train":
            sources_of_action[str(clip.action)].add(clip.source)
    bound = {next(iter(sources)) for sources in sources_of_action.values() if len(sources) == 1}
    sizes = sorted(Counter(clip.source for clip in used).values())
    shares: tuple[tuple[SplitName, float | None], ...] = (("val", val_share), ("test", test_share))
    for split, share in shares:
        if share is None:
            continue
        asked_for = share * len(used)
        off = abs(got[split] - asked_for)
        if (asked_for and got[split] == 0) or off > max(1, ENOUGH_OFF * asked_for):
            yield (
                f"{split} has {got[split]} of {len(used)} clips ({percent(got[split] / len(used))}) where {percent(share)} was asked for, because "
                f"a source is never divided or moved (the {len(sizes)} have {sizes[0]} to {sizes[-1]} clips each), and "
                f"{len(bound)} must be in train, since each has an action that no other source of train has"
            )


def _exclusion_warnings(untaught: Counter[str], num_misplaced: int, num_without_action: int) -> Iterator[str]:
    """Warn of clips of untaught actions, in another split's video, or in an idle test."""
    if untaught:
        listed = some([f"{action} ({number})" for action, number in sorted(untaught.items())])
        yield f"{plain_count(untaught.total(), 'clip')} of val or test stay out, because train has none of their actions: {listed}"
    if num_misplaced:
        yield f"{plain_count(num_misplaced, 'clip')} stay out, because a source column now joins them with videos of another split"
    if num_without_action:
        clips = plain_count(num_without_action, "clip")
        yield f"{clips} of test stay out, because nothing happens in any clip there: label an action in them"

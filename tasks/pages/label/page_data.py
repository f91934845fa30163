"""Hold the content of the page, and keep it up to date with the store.

The log of statements is read before each answer, at most once a second. Lists of clips, predictions and annotation files are large and change
rarely, so they are read in the background: for the first time when anything of the page is asked for.
"""

import asyncio
import hashlib
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from operator import itemgetter
from typing import TypeVar

from pydantic import BaseModel

from tasks.data.clips.gather_labels import labelled_by_files
from tasks.data.clips.label_inputs import BLOCK_SIZE, append_to_log, inputs_digest, latest_prediction, read_log, write_blocks
from tasks.data.labels.label_clips import Labelling
from tasks.data.labels.ledger import Ledger, read_twice
from tasks.data.split.split import read_split_csv
from tasks.errors import BadInput, MissingObject, NotThere, RetakeError, Unavailable
from tasks.judge.statistics.label_quality import agreement
from tasks.keys import recipe_of
from tasks.options import LabelOptions, SegmentOptions
from tasks.pages.label.clips import ClipFiles, Cut, PageClip, Suggestion, Suggestions, diverse, of_use, read_suggestions
from tasks.pages.label.labels import ClipLabels, CoveringOf, FileLabel, Known, Uploads, Words, file_labels, known_labels, unread_files
from tasks.store.layout import Labels, Layout
from tasks.store.objects import Store
from tasks.store.records.dataset import NO_OBJECT, Agreement, DatasetResult, LabelsFile
from tasks.store.records.evaluation import DoubtfulLabel
from tasks.store.records.labelling import AnyEntry, AnyStatement
from tasks.store.records.training import PlanResult
from tasks.store.run_layout import Scores
from tasks.store.stored import Stored

M = TypeVar("M", bound=BaseModel)
log = logging.getLogger("retake")

LOG_SECONDS = 1.0
VIEW_SECONDS = 3.0
"""A page asks every 3 seconds, and gets the view of its last but one question. New clips and labels are there within 10 seconds."""
LOOK_SECONDS = 0.02
PAUSE_SHARE = 5
"""Between two readings of lists of clips lies this number of times as long as one takes: a store of very many videos is read seldom."""
T = TypeVar("T")
LabelFiles = Callable[[Store, str, SegmentOptions, LabelOptions], Labelling]


@dataclass(frozen=True)
class Audit:
    """The labels that the last scored training finds doubtful, by uid, the most doubtful first."""

    uri: str = ""
    doubtful: Mapping[str, DoubtfulLabel] = field(default_factory=dict)


@dataclass(frozen=True)
class View:
    """The clips, their suggestions, and the labels of files and folders, `known` by uid."""

    cut: Cut
    suggestions: Suggestions
    known: Mapping[str, Known]
    order: tuple[str, ...]
    """All clips: those of the list to label first, then the most diverse."""
    known_mark: tuple[str, str] = "", ""
    """The build and the inputs that `known` was read from. The inputs are empty if these are the labels of the build."""
    verbs: tuple[str, ...] = ()
    nouns: tuple[str, ...] = ()
    of_files: Mapping[str, Sequence[FileLabel]] = field(default_factory=dict)
    """The labels of files and folders, by video and by time."""
    num_built: int = 0
    """Statements of the log that the last build read."""
    unread: tuple[str, ...] = ()
    """Files that cannot be read, each with the reason."""
    audit: Audit = Audit()

    def labels_of(self, clip: PageClip, ledger: Ledger, covering: CoveringOf) -> ClipLabels:
        """Gather what labels a clip at this state of the log."""
        return ClipLabels(ledger, ledger.about(clip.key), covering(clip), self.known.get(clip.uid))

    @cached_property
    def doubtful(self) -> Mapping[str, DoubtfulLabel]:
        """Return the doubtful labels of these clips by uid, without those of measured videos."""
        clips, measured = self.cut.clips, self.suggestions.measured
        return {uid: label for uid, label in self.audit.doubtful.items() if uid in clips and clips[uid].video not in measured}

    @cached_property
    def mark(self) -> str:
        """Return a word that is another one if anything in the view is."""
        about_cut = self.cut.recipe, sorted(self.cut.names.items()), len(self.cut.clips)
        seen = (
            *about_cut,
            self.suggestions.prediction,
            self.suggestions.splits_etag,
            sorted(self.known.items(), key=itemgetter(0)),
            self.num_built,
            self.unread,
            self.audit.uri,
        )
        return hashlib.sha256(repr(seen).encode()).hexdigest()


class PageData:
    """All that the page reads and writes, for many threads.

    `label` reads label files, whatever they hold.
    """

    def __init__(
        self, store: Store, store_uri: str, now: Callable[[], float] = time.monotonic, label: LabelFiles = labelled_by_files
    ) -> None:
        self.store = store
        self.store_uri = store_uri
        self._now = now
        self._label = label
        self._files = ClipFiles(store, store_uri)
        self._lock = threading.RLock()
        self._ledger = Ledger()
        self._entries: list[AnyEntry] = []
        self._num_blocks = 0
        self._read_at = -LOG_SECONDS
        self._cuts: Mapping[str, Cut] = {}
        self._view: View | None = None
        self._views: dict[str, View] = {}
        self._viewed_at = -VIEW_SECONDS
        self._pause_seconds = VIEW_SECONDS
        self._viewing = threading.Lock()
        self._adding = threading.Lock()
        self._agreed: tuple[int, Agreement | None] | None = None

    @property
    def is_empty(self) -> bool:
        """Check whether the store has no videos."""
        return self._view is None and not self.store.folders(Layout(self.store_uri).videos)

    @property
    def view(self) -> View | None:
        """Return the latest view, renewed in the background; None before there are clips."""
        self._renew_if_old()
        return self._view

    def begin(self) -> None:
        """Begin to read the first view and the log in the background, once."""
        if self._view is None:
            self._renew_if_old()

    async def first_view(self, seconds: float, recipe: str) -> None:
        """Wait at most this long, without a thread, for the first view of a cut."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            reading = self._viewing if self.view is None else self._adding
            if not reading.locked() or (self._view and not self._is_missing(recipe)):
                return
            await asyncio.sleep(LOOK_SECONDS)

    def _is_missing(self, recipe: str) -> bool:
        return recipe in self._cuts and recipe not in self._views

    def view_of(self, recipe: str) -> View | None:
        """Return the view of one cut; if unknown, of the cut of most videos.

        Raises:
            Unavailable: another request reads a view that is not there yet; one that waited would keep others out.
        """
        view = self.view
        if view and self._is_missing(recipe):
            if not self._adding.acquire(blocking=False):
                raise Unavailable("the clips are being read; ask again")
            try:
                view = self._view_of(self._cuts[recipe], view)
                self._views = {**self._views, recipe: view}
            finally:
                self._adding.release()
        return self._views.get(recipe, view)

    @property
    def cuts(self) -> Sequence[Cut]:
        """List all ways of cutting, that of most videos first."""
        return sorted(self._cuts.values(), key=lambda cut: -len(cut.by_video))

    def read(self, look: Callable[[Ledger], T]) -> T:
        """Run `look` on all statements up to now."""
        with self._lock:
            if self._now() - self._read_at >= LOG_SECONDS:
                self._take(read_log(self.store, self.store_uri, len(self._entries)))
            return look(self._ledger)

    def agreement(self) -> Agreement | None:
        """Compute how far two readers agree, once for each state of the log."""
        number, pairs = self.read(lambda ledger: (ledger.num_entries, read_twice(ledger)))
        # Outside of `read`, whose lock others wait for.
        if self._agreed is None or self._agreed[0] != number:
            self._agreed = number, agreement([pair[:3] for pair in pairs])
        return self._agreed[1]

    def last_plan(self) -> PlanResult | None:
        """Read the plan of the store's last training; None if none can be read."""
        return self._read(Layout(self.store_uri).latest_plan)

    def last_dataset(self) -> DatasetResult | None:
        """Read the latest dataset; None if none can be read."""
        return self._read(Layout(self.store_uri).latest_dataset)

    def _read(self, place: Stored[M]) -> M | None:
        try:
            return self.store.read(place)
        except BadInput:
            return None

    def write(self, statement: AnyStatement) -> int:
        """Append a statement, each token once, and return its place in the log.

        Raises:
            NotThere: it takes back or replaces a statement that is not there.
        """
        with self._lock:
            if self._ledger.problem(statement):
                # Another process may have written the one that it takes back or replaces.
                self._take(read_log(self.store, self.store_uri, len(self._entries)))
            if self._ledger.find(statement.token) is None:
                if problem := self._ledger.problem(statement):
                    raise NotThere(f"this {problem}")
                self._take(append_to_log(self.store, self.store_uri, statement, len(self._entries)))
            return self._ledger.number(self._ledger.find(statement.token) or statement)

    def _take(self, entries: list[AnyEntry]) -> None:
        self._entries += entries
        num_known = len(self._ledger.problems)
        self._ledger.add(entries)
        for problem in self._ledger.problems[num_known:]:
            log.warning("%s", problem)
        self._read_at = self._now()
        if len(self._entries) // BLOCK_SIZE > self._num_blocks:
            self._num_blocks = write_blocks(self.store, self.store_uri, self._entries, self._num_blocks)

    def _renew_if_old(self) -> None:
        if self._now() - self._viewed_at >= self._pause_seconds and self._viewing.acquire(blocking=False):
            threading.Thread(target=self._renew, daemon=True, name="labelling-view").start()

    def _renew(self) -> None:
        begun = self._now()
        try:
            if self._view is None:
                self.read(lambda ledger: ledger.num_entries)
            self._read_view()
        except RetakeError as error:
            log.warning("the labelling page keeps its last view: %s", error)
        finally:
            self._viewed_at = self._now()
            self._pause_seconds = max(VIEW_SECONDS, PAUSE_SHARE * (self._viewed_at - begun) if self._view else 0)
            self._viewing.release()

    def _read_view(self) -> None:
        cuts = self._files.read()
        if cut := of_use(cuts):
            before = self._views
            view = self._view_of(cut, before.get(cut.recipe))
            others = {recipe: self._view_of(cuts[recipe], old) for recipe, old in before.items() if recipe in cuts and recipe != cut.recipe}
            self._cuts, self._views, self._view = cuts, {**others, cut.recipe: view}, view
        else:
            self._cuts, self._views, self._view = {}, {}, None
        self._viewed_at = self._now()

    def _view_of(self, cut: Cut, before: View | None) -> View:
        suggestions = self._suggestions(before)
        audit = self._audit(before)
        known, mark, num_built, unread = self._known(cut, before)
        if before and before.suggestions is suggestions and before.audit is audit and before.known_mark == mark and before.cut == cut:
            return before
        verbs, nouns = _names(known, suggestions)
        if before and before.cut.clips.keys() == cut.clips.keys() and before.suggestions is suggestions:
            order = before.order
        else:
            first = [uid for uid in suggestions.reasons if uid in cut.clips]
            order = (*first, *(uid for uid in diverse(cut) if uid not in suggestions.reasons))
        of_files = file_labels(cut, known)
        return View(cut, suggestions, known, order, mark, verbs, nouns, of_files, num_built, unread, audit)

    def _suggestions(self, before: View | None) -> Suggestions:
        folder = latest_prediction(self.store, self.store_uri)
        uri = Layout(self.store_uri).split_file
        listed = self.store.stat(uri)
        splits_etag = listed.etag if listed else ""
        if before and (before.suggestions.prediction, before.suggestions.splits_etag) == (folder, splits_etag):
            return before.suggestions
        try:
            splits = read_split_csv(self.store.read_bytes(uri)) if listed else {}
            measured = frozenset(name for name, split in splits.items() if split != "train")
            return (read_suggestions(self.store, folder) if folder else Suggestions()).blind(measured, splits_etag)
        except (BadInput, MissingObject) as error:
            log.warning("the labelling page suggests nothing: %s", error)
            return Suggestions(folder, splits_etag=splits_etag)

    def _audit(self, before: View | None) -> Audit:
        """Read the audit of the last training.

        Until that is scored, keep the one of the view before.
        """
        last = before.audit if before else Audit()
        try:
            if not (plan := self.last_plan()):
                return last
            audited = "fine-tuned", plan.decides_on
            scored = next((Scores(planned.out) for planned in plan.evaluations if (planned.model, planned.split) == audited), None)
            if not scored or scored.uri == last.uri:
                return last
            result = self.store.read(scored)
        except MissingObject:
            return last
        except RetakeError as error:
            log.warning("the labelling page keeps its last list of doubtful labels: %s", error)
            return last
        return Audit(scored.uri, {label.uid: label for label in result.audit.doubtful} if result.audit else {})

    def _known(self, cut: Cut, before: View | None) -> tuple[Mapping[str, Known], tuple[str, str], int, tuple[str, ...]]:
        """Find the labels of a build without the page's statements: at first, the last build's."""
        layout = Layout(self.store_uri)
        # Labels of both cuts have those of the grid, too.
        recipes = (cut.recipe, recipe_of(cut.options.model_copy(update={"cut": "both"})))
        built = [(listed.modified, listed.etag, recipe) for recipe in recipes if (listed := self.store.stat(layout.labels(recipe).uri))]
        _, etag, recipe = max(built, default=("", "", cut.recipe))
        digest = ""
        try:
            # The first view is wanted at once: labels that no build has read come with the next one.
            if before and before.cut.recipe == cut.recipe:
                digest = inputs_digest(self.store, self.store_uri, recipe)
            if before and (before.cut, before.known_mark) == (cut, (etag, digest)):
                return before.known, before.known_mark, before.num_built, before.unread
            file, num_built = self._built(layout.labels(recipe))
            labels: LabelsFile | Labelling | None = file
            if digest:
                segment, options = (file.segment, file.options) if file else (cut.options, LabelOptions())
                labels = self._label(self.store, self.store_uri, segment, options)
        except RetakeError as error:
            log.warning("the labelling page shows no labels that no build has read: %s", error)
            # The same inputs are not read again, unless the store may answer next time.
            digest = digest if isinstance(error, BadInput) else ""
            if before and before.cut.recipe == cut.recipe and before.known_mark[0] == etag:
                return before.known, (etag, digest), before.num_built, before.unread
            labels, num_built = self._built(layout.labels(recipe))
        known = known_labels(labels.clips, Uploads.of(self.store, self.store_uri)) if labels else {}
        return known, (etag, digest), num_built, unread_files(labels.problems) if labels else ()

    def _built(self, labels: Labels) -> tuple[LabelsFile | None, int]:
        """Read a build's labels, None if unreadable, and the number of its statements."""
        if not self.store.exists(labels.uri):
            return None, 0
        try:
            return self.store.read(labels.clips), self.store.read(labels).num_statements
        except BadInput as error:
            log.warning("the labelling page shows no labels of the last build: %s", error)
            return None, 0


def _names(known: Mapping[str, Known], suggestions: Suggestions) -> tuple[tuple[str, ...], tuple[str, ...]]:
    named: list[Words | Suggestion] = [
        *(label.words for label in known.values()),
        *(best for suggested in suggestions.by_clip.values() for best in suggested),
    ]
    verbs, nouns = {words.verb for words in named}, {words.noun for words in named}
    return tuple(sorted(verbs)), tuple(sorted(nouns - {NO_OBJECT}))

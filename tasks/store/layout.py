"""Map the store: every address, with the model of its record.

Addresses are made in this room alone: here, and in `run_layout` those inside a training, comparison, prediction or search.
`Store.read` reads `Layout(store).run(key).train`, and `Store.write` checks its record; its `uri` is text.
Any place can also be built over a template, such as `Layout("{store}")`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Self

from tasks.store.records.comparison import TabulateResult
from tasks.store.records.dataset import ClassRef, DatasetResult, LabelResult, LabelsFile, Manifest, SplitResult
from tasks.store.records.decisions import ChampionMove, Charge, DecisionRecord, Look, SeenClips
from tasks.store.records.labelling import Lease, LogBlock, LogEntry
from tasks.store.records.prediction import PredictPlanResult
from tasks.store.records.record import SplitName
from tasks.store.records.status import (
    DatasetStatus,
    LabelsStatus,
    ModelStatus,
    Notified,
    PredictionsStatus,
    SpaceStatus,
    TrainingStatus,
    VideosStatus,
)
from tasks.store.records.training import PlanResult, Recipe, WeightsResult
from tasks.store.records.upkeep import CleanUpResult, ForgetResult, Forgetting, Receipt, Tombstone
from tasks.store.records.video import (
    Batch,
    ClipsFile,
    IngestResult,
    Inventory,
    SegmentResult,
    SetAsideFile,
    SoundNote,
    SummaryResult,
    VideoRecord,
)
from tasks.store.run_layout import AskedComparison, AskedSearch, ComparisonTable, Prediction, Run
from tasks.store.stored import (
    Below,
    Folder,
    Output,
    OutputOf,
    Place,
    Stored,
    as_folder,
    file,
    keyed,
    last_name,
    made,
    numbered,
    output,
    record,
    stored,
)


class LabelLog(Place):
    """`label_log/`: the statements made on the labelling page, numbered from 0."""

    entry = numbered("{number:08d}.json", stored(LogEntry))
    block = numbered("blocks/{number:06d}.json", stored(LogBlock))
    leases = file("lent/")
    lease = keyed("lent/{person}.json", stored(Lease))
    """The clips that a person has before them; `person` is a hash of the name."""


class Video(Place):
    """`videos/<video>/`: a video, known by its content, under all its names."""

    probe = record("probe.json", VideoRecord)
    """Written last."""
    source = keyed("source{suffix}", str)


@dataclass(frozen=True)
class Clips(Stored[ClipsFile]):
    """`clips/<video>/<recipe>/`: the clips of a video cut with one recipe. `clips.json` is written last."""

    model: type[ClipsFile] = ClipsFile

    @property
    def uri(self) -> str:
        """Return the address of the list of clips."""
        return f"{self.place_uri}clips.json"

    @property
    def recipe(self) -> str:
        """Return the key of the recipe that the clips were cut with."""
        return last_name(self.place_uri)

    def clip(self, index: int) -> str:
        """Return the address of a clip."""
        return f"{self.place_uri}{index:04d}.mp4"

    def clip_around(self, start_ms: int, stop_ms: int) -> str:
        """`clips/<video>/<recipe>/<number>-<number>.mp4`: return the address of a clip around an interval, by ms."""
        return f"{self.place_uri}{start_ms:09d}-{stop_ms:09d}.mp4"

    def clip_across(self, start_ms: int, stop_ms: int, next_video: str) -> str:
        """`clips/<video>/<recipe>/<number>-<number>-<next video>.mp4`: return the address of a clip that ends in the next video."""
        return f"{self.place_uri}{start_ms:09d}-{stop_ms:09d}-{next_video[:12]}.mp4"


def flow_of_clip(clip_uri: str, recipe: str) -> str:
    """`clips/<video>/<recipe>/flow/<flow recipe>/<clip>.mkv`: return the address of the optical flow of a clip."""
    folder, _, name = clip_uri.rpartition("/")
    return f"{folder}/flow/{recipe}/{name.removesuffix('.mp4')}.mkv"


def sound_of_clip(clip_uri: str, recipe: str) -> str:
    """`clips/<video>/<recipe>/sound/<sound recipe>/<clip>.npz`: return the address of the described sound of a clip."""
    folder, _, name = clip_uri.rpartition("/")
    return f"{folder}/sound/{recipe}/{name.removesuffix('.mp4')}.npz"


def sound_note_of_clip(clip_uri: str, recipe: str) -> Stored[SoundNote]:
    """`clips/<video>/<recipe>/sound/<sound recipe>/<clip>.json`: find the note on the described sound of a clip."""
    return Stored(f"{sound_of_clip(clip_uri, recipe).removesuffix('.npz')}.json", SoundNote)


def folders_of(uris: Iterable[str]) -> set[str]:
    """Return the folders that these files lie in, to be listed."""
    return {f"{uri.rpartition('/')[0]}/" for uri in uris}


class Summary(OutputOf[SummaryResult]):
    """`ingests/<key>/summary/`: an ingest in numbers."""

    set_aside = record("set_aside.json", SetAsideFile)


class Ingest(OutputOf[IngestResult]):
    """`ingests/<key>/`: the files that an ingest saw, its batches and their results."""

    summary = Below("summary/", Summary)
    batch = numbered("batches/{number:04d}.json", stored(Batch))

    @property
    def inventory(self) -> Stored[Inventory]:
        """Return the list of all files that the ingest looked at."""
        return Stored(f"{self.place_uri.rstrip('/')}/inventory.json", Inventory)

    def segment(self, recipe: str, number: int) -> Output[SegmentResult]:
        """Return the output of the mapped task that cuts a batch."""
        return Output(f"{self.place_uri}segment/{recipe}/{number:04d}/", SegmentResult)


class Labels(OutputOf[LabelResult]):
    """`labels/<recipe>/`: the labels of all clips that were cut with one recipe."""

    clips = record("labels.json", LabelsFile)
    """All clips, labelled or not."""
    recordings = file("recordings.csv")
    """Which videos are one recording, and why; it can be corrected and taken in as a label file."""
    split = output("split/", SplitResult)


class Dataset(Place):
    """`datasets/<digest>/`: a dataset, known by its content."""

    manifest = record("manifest.json", Manifest)
    """Written last."""
    figures = file("figures/")
    figure = keyed("figures/{name}.png", str)

    @classmethod
    def at(cls, uri: str) -> Self:
        """Read an address as a person writes it, perhaps without the slash at its end."""
        return cls(as_folder(uri))

    @property
    def digest(self) -> str:
        """Return the hash of the dataset's content."""
        return last_name(self.folder_uri)

    def table(self, split: SplitName) -> str:
        """Return the address of the CSV file of a split."""
        return f"{self.folder_uri}{split}.csv"


class Looks(Place):
    """`looks/<digest>/`: the scorings of networks on one set of clips, known by its content."""

    clips = record("clips.json", SeenClips)
    look = keyed("{key}.json", stored(Look))


class ModelState(Place):
    """`status/models/<model name>/`: the summary of one model."""

    training = record("training.json", TrainingStatus)
    model = record("model.json", ModelStatus)


class Status(Place):
    """`status/`: the summary of the store, a record for each box of its page."""

    films = record("films.json", VideosStatus)
    labels = record("labels.json", LabelsStatus)
    dataset = record("dataset.json", DatasetStatus)
    predictions = record("predictions.json", PredictionsStatus)
    space = record("space.json", SpaceStatus)
    notified = record("notified.json", Notified)
    models = file("models/")
    """All models that were planned or decided on."""
    of_model = keyed("models/{model_name}/", ModelState)


class CleanUp(OutputOf[CleanUpResult]):
    """`clean_up/`: the objects that the latest clean-up deleted, or would delete."""

    listed = file("list.csv")


class Forgotten(Place):
    """`forgotten/`: the videos that were forgotten, and the intent while one is."""

    intent = record("intent.json", Forgetting)
    receipt = numbered("{number:06d}.json", stored(Receipt))
    tombstones = file("videos/")
    tombstone = keyed("videos/{video}.json", stored(Tombstone))
    """The mark of a video that is never taken in again."""
    asked = keyed("asked/{key}/", made(ForgetResult))


@dataclass(frozen=True)
class Layout:
    """A whole store: a bucket or a prefix, without a slash at the end."""

    store_uri: str

    inbox = Below("inbox/", Folder)
    """`inbox/`: the files that people put there."""
    annotations = Below("annotations/", Folder)
    label_log = Below("label_log/", LabelLog)
    status = Below("status/", Status)
    clean_up = Below("clean_up/", CleanUp)
    forgotten = Below("forgotten/", Forgotten)
    videos = file("videos/")
    all_clips = file("clips/")
    runs = file("runs/")
    latest_dataset = output("datasets/", DatasetResult)
    split_file = file("datasets/split.csv")
    """The split of each source and each video."""
    all_labels = file("labels/")
    ingests = file("ingests/")
    predictions = file("predictions/")
    recipes = file("recipes/")
    decisions = file("decisions/")
    decisions_table = file("decisions.csv")
    uploaded = keyed("inbox/{name}/", Folder)
    """A folder that was uploaded to the inbox as a whole."""
    video = keyed("videos/{video}/", Video)
    clips_of = keyed("clips/{video}/", str)
    """All clips of a video, with any recipe."""
    ingest = keyed("ingests/{key}/", Ingest)
    labels = keyed("labels/{recipe}/", Labels)
    dataset = keyed("datasets/{digest}/", Dataset)
    pretrained = keyed("pretrained/{name}", str)
    network = keyed("pretrained/networks/{sha256}.ckpt", str)
    """A network that trainings start from."""
    backbone_weights = keyed("pretrained/backbones/{sha256}", str)
    weights = keyed("pretrained/choices/{key}/", made(WeightsResult))
    stored_recipe = keyed("recipes/{name}.json", stored(Recipe))
    latest_plan = output("plans/latest/", PlanResult)
    plan = keyed("plans/{key}/", made(PlanResult))
    run = keyed("runs/{key}/", Run)
    champions = file("champions/")
    """All models that have had a champion."""
    champion_moves = keyed("champions/{model_name}/", str)
    decision = keyed("decisions/{key}.json", stored(DecisionRecord))
    all_looks = file("looks/")
    looks_at = keyed("looks/{digest}/", Looks)
    charges = keyed("charges/{model_name}/", str)
    comparison = keyed("comparisons/{key}/", AskedComparison)
    compared_versions = keyed("comparisons/versions/{key}/", made(TabulateResult))
    """The result of a form that compares two versions, which says where the table lies."""
    prediction = keyed("predictions/{key}/", Prediction)
    prediction_plan = keyed("predictions/choices/{key}/", made(PredictPlanResult))
    search = keyed("searches/{key}/", AskedSearch)

    @property
    def folder_uri(self) -> str:
        """Return the address with a slash at the end."""
        return f"{self.store_uri}/"

    def holds(self, uri: str) -> bool:
        """Check whether an address is one of this store."""
        return uri.startswith(self.folder_uri)

    def clips(self, video: str, recipe: str) -> Clips:
        """Find the clips of a video that were cut with one recipe."""
        return Clips(f"{self.clips_of(video)}{recipe}/")

    def own_classes(self, target: Literal["verb", "noun"]) -> str:
        """`classes/<target>s/`: return the folder of the store's own classes."""
        return f"{self.store_uri}/classes/{target}s/"

    def own_class(self, target: Literal["verb", "noun"], number: int) -> Stored[ClassRef]:
        """`classes/<target>s/<number>.json`: find one of the store's own classes."""
        return Stored(f"{self.own_classes(target)}{number}.json", ClassRef)

    def champion_move(self, model_name: str, number: int) -> Stored[ChampionMove]:
        """`champions/<model name>/<number>.json`: find a move of the champion."""
        return Stored(f"{self.champion_moves(model_name)}{number:06d}.json", ChampionMove)

    def charge(self, model_name: str, number: int) -> Stored[Charge]:
        """`charges/<model name>/<number>.json`: find the error that a decision spent."""
        return Stored(f"{self.charges(model_name)}{number:06d}.json", Charge)

    def comparison_table(self, digest: str, key: str) -> ComparisonTable:
        """`comparisons/<digest>/tables/<key>/`: find the table of the same networks on the same dataset."""
        return ComparisonTable(f"{self.store_uri}/comparisons/{digest}/tables/{key}/")


def is_probe(uri: str) -> bool:
    """Check whether a listed object is the record of a video."""
    return uri.endswith("/probe.json")


def video_of(uri: str) -> str:
    """Return the video whose record or copy a listed object is."""
    return last_name(uri.rpartition("/")[0])


def is_manifest(uri: str) -> bool:
    """Check whether a listed object is the manifest of a dataset."""
    return uri.endswith("/manifest.json")


def dataset_of(uri: str) -> str:
    """Return the digest of the dataset that a listed manifest is of."""
    return last_name(uri.rpartition("/")[0])


def is_own_class(uri: str) -> bool:
    """Check whether a listed object is one of the store's own classes."""
    return bool(re.fullmatch(r".*/[0-9]+\.json", uri, re.DOTALL))


def is_file_of_video(name: str) -> bool:
    """Check whether the store gives files of videos this name, which names no video."""
    return bool(re.fullmatch(r"source\.\w+|([0-9]{4,}|[0-9]{9}-[0-9]{9}(-[0-9a-f]{12})?)\.(mp4|mkv)", name))

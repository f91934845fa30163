"""Map the store: every address, with the model of its record.

An address is made here and nowhere else. `Layout(store).run(key).train` is what `Store.read` reads and `Store.write` checks; its `uri` is
text. In place of a real address, any of these can be built over a template, such as `Layout("{store}")`: the text goes in as it is.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Self

from tasks.store.comparisons import AskedComparison, ComparisonTable
from tasks.store.predictions import Prediction
from tasks.store.records.comparison import TabulateResult
from tasks.store.records.dataset import ClassRef, DatasetResult, LabelResult, LabelsFile, Manifest, SplitResult
from tasks.store.records.decision import ChampionMove, DecisionRecord
from tasks.store.records.inputs import SoundNote
from tasks.store.records.labelling import Lease, LogBlock, LogEntry
from tasks.store.records.prediction import PredictPlanResult
from tasks.store.records.record import SplitName
from tasks.store.records.training import PlanResult, Recipe, WeightsResult
from tasks.store.records.video import Batch, ClipsFile, IngestResult, Inventory, SegmentResult, SetAsideFile, SummaryResult, VideoRecord
from tasks.store.runs import Run
from tasks.store.searches import AskedSearch
from tasks.store.stored import Below, Folder, Output, Stored, as_folder, file, last_name, output, record


@dataclass(frozen=True)
class LabelLog:
    """`label_log/`: the statements made on the labelling page, numbered from 0."""

    folder_uri: str

    def entry(self, number: int) -> Stored[LogEntry]:
        """Find one statement."""
        return Stored(f"{self.folder_uri}{number:08d}.json", LogEntry)

    def block(self, number: int) -> Stored[LogBlock]:
        """`label_log/blocks/<number>.json`: find many statements in one object."""
        return Stored(f"{self.folder_uri}blocks/{number:06d}.json", LogBlock)

    @property
    def leases(self) -> str:
        """`label_log/lent/`: return the folder of the clips that people have before them."""
        return f"{self.folder_uri}lent/"

    def lease(self, person: str) -> Stored[Lease]:
        """`label_log/lent/<person>.json`: find the clips that a person has before them; `person` is a hash of the name."""
        return Stored(f"{self.leases}{person}.json", Lease)


_OWN_CLASS = re.compile(r".*/[0-9]+\.json", re.DOTALL)


@dataclass(frozen=True)
class Video:
    """`videos/<video>/`: a video, known by its content, under all its names."""

    folder_uri: str

    probe = record("probe.json", VideoRecord)
    """Written last."""

    def source(self, suffix: str) -> str:
        """Return the address of the file itself."""
        return f"{self.folder_uri}source{suffix}"


@dataclass(frozen=True)
class Clips(Stored[ClipsFile]):
    """`clips/<video>/<recipe>/`: the clips of a video cut with one recipe.

    `clips.json` is written last.
    """

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


@dataclass(frozen=True)
class Summary(Output[SummaryResult]):
    """`ingests/<key>/summary/`: an ingest in numbers."""

    model: type[SummaryResult] = SummaryResult

    set_aside = record("set_aside.json", SetAsideFile)


@dataclass(frozen=True)
class Ingest(Output[IngestResult]):
    """`ingests/<key>/`: the files that an ingest saw, its batches and their results."""

    model: type[IngestResult] = IngestResult

    summary = Below("summary/", Summary)

    @property
    def inventory(self) -> Stored[Inventory]:
        """Return the list of all files that the ingest looked at."""
        return Stored(f"{self.place_uri.rstrip('/')}/inventory.json", Inventory)

    def batch(self, number: int) -> Stored[Batch]:
        """Return the videos of one mapped task."""
        return Stored(f"{self.place_uri}batches/{number:04d}.json", Batch)

    def segment(self, recipe: str, number: int) -> Output[SegmentResult]:
        """Return the output of the mapped task that cuts a batch."""
        return Output(f"{self.place_uri}segment/{recipe}/{number:04d}/", SegmentResult)


@dataclass(frozen=True)
class Labels(Output[LabelResult]):
    """`labels/<recipe>/`: the labels of all clips that were cut with one recipe."""

    model: type[LabelResult] = LabelResult

    clips = record("labels.json", LabelsFile)
    """All clips, labelled or not."""
    split = output("split/", SplitResult)


@dataclass(frozen=True)
class Dataset:
    """`datasets/<digest>/`: a dataset, known by its content."""

    folder_uri: str

    manifest = record("manifest.json", Manifest)
    """Written last."""
    figures = file("figures/")

    @classmethod
    def at(cls, uri: str) -> Self:
        """Read an address as a person writes it.

        The slash at the end may be missing.
        """
        return cls(as_folder(uri))

    @property
    def digest(self) -> str:
        """Return the digest of the dataset's content."""
        return last_name(self.folder_uri)

    def table(self, split: SplitName) -> str:
        """Return the address of the CSV file of a split."""
        return f"{self.folder_uri}{split}.csv"

    def figure(self, name: str) -> str:
        """Return the address of a histogram."""
        return f"{self.figures}{name}.png"


@dataclass(frozen=True)
class Layout:
    """A whole store: the bucket, or a prefix in it.

    Its address has no slash at the end.
    """

    store_uri: str

    inbox = Below("inbox/", Folder)
    """`inbox/`: the files that people put there."""
    annotations = Below("annotations/", Folder)
    label_log = Below("label_log/", LabelLog)
    videos = file("videos/")
    latest_dataset = output("datasets/", DatasetResult)
    split_file = file("datasets/split.csv")
    """The split of each source and each video."""
    all_labels = file("labels/")
    predictions = file("predictions/")
    recipes = file("recipes/")
    decisions = file("decisions/")
    decisions_table = file("decisions.csv")

    @property
    def folder_uri(self) -> str:
        """Return the address with a slash at the end."""
        return f"{self.store_uri}/"

    def holds(self, uri: str) -> bool:
        """Check whether an address is one of this store."""
        return uri.startswith(self.folder_uri)

    def uploaded(self, name: str) -> Folder:
        """`inbox/<folder>/`: find a folder that was uploaded to the inbox as a whole."""
        return Folder(f"{self.inbox.folder_uri}{name}/")

    def video(self, video: str) -> Video:
        """Find a video by its hash."""
        return Video(f"{self.videos}{video}/")

    def clips_of(self, video: str) -> str:
        """`clips/<video>/`: return the folder of all clips of a video, with any recipe."""
        return f"{self.store_uri}/clips/{video}/"

    def clips(self, video: str, recipe: str) -> Clips:
        """Find the clips of a video that were cut with one recipe."""
        return Clips(f"{self.clips_of(video)}{recipe}/")

    def own_classes(self, target: Literal["verb", "noun"]) -> str:
        """`classes/<target>s/`: return the folder of the store's own classes."""
        return f"{self.store_uri}/classes/{target}s/"

    def own_class(self, target: Literal["verb", "noun"], number: int) -> Stored[ClassRef]:
        """`classes/<target>s/<number>.json`: find one of the store's own classes."""
        return Stored(f"{self.own_classes(target)}{number}.json", ClassRef)

    def ingest(self, key: str) -> Ingest:
        """Find an ingest by the key of its choices."""
        return Ingest(f"{self.store_uri}/ingests/{key}/")

    def labels(self, recipe: str) -> Labels:
        """Find the labels of the clips cut with one recipe."""
        return Labels(f"{self.store_uri}/labels/{recipe}/")

    def dataset(self, digest: str) -> Dataset:
        """Find a dataset by its content."""
        return Dataset(f"{self.latest_dataset.folder_uri}{digest}/")

    def pretrained(self, name: str) -> str:
        """`pretrained/<name>`: return the address of a published file."""
        return f"{self.store_uri}/pretrained/{name}"

    def network(self, sha256: str) -> str:
        """`pretrained/networks/<sha256>.ckpt`: return the address of a network that trainings start from."""
        return self.pretrained(f"networks/{sha256}.ckpt")

    def backbone_weights(self, sha256: str) -> str:
        """`pretrained/backbones/<sha256>`: return the address of a user's own weights of a backbone."""
        return self.pretrained(f"backbones/{sha256}")

    def weights(self, key: str) -> Output[WeightsResult]:
        """`pretrained/choices/<key>/`: find the weights that a form selects."""
        return Output(self.pretrained(f"choices/{key}/"), WeightsResult)

    def stored_recipe(self, name: str) -> Stored[Recipe]:
        """`recipes/<name>.json`: find a recipe that somebody saved."""
        return Stored(f"{self.recipes}{name}.json", Recipe)

    @property
    def latest_plan(self) -> Output[PlanResult]:
        """`plans/latest/`: the plan that was made last."""
        return self.plan("latest")

    def plan(self, key: str) -> Output[PlanResult]:
        """`plans/<key>/`: find the plan of a form."""
        return Output(f"{self.store_uri}/plans/{key}/", PlanResult)

    def run(self, key: str) -> Run:
        """Find a training by its key."""
        return Run(f"{self.store_uri}/runs/{key}/")

    @property
    def champions(self) -> str:
        """`champions/`: return the folder of all models that have had a champion."""
        return f"{self.store_uri}/champions/"

    def champion_moves(self, model_name: str) -> str:
        """`champions/<model name>/`: return the folder of the champion's moves."""
        return f"{self.champions}{model_name}/"

    def champion_move(self, model_name: str, number: int) -> Stored[ChampionMove]:
        """`champions/<model name>/<number>.json`: find a move of the champion."""
        return Stored(f"{self.champion_moves(model_name)}{number:06d}.json", ChampionMove)

    def decision(self, key: str) -> Stored[DecisionRecord]:
        """`decisions/<key>.json`: find a decision."""
        return Stored(f"{self.decisions}{key}.json", DecisionRecord)

    def comparison(self, key: str) -> AskedComparison:
        """`comparisons/<key>/`: find the comparison that a form asks for."""
        return AskedComparison(f"{self.store_uri}/comparisons/{key}/")

    def comparison_table(self, digest: str, key: str) -> ComparisonTable:
        """`comparisons/<digest>/tables/<key>/`: find the table of the same networks on the same dataset."""
        return ComparisonTable(f"{self.store_uri}/comparisons/{digest}/tables/{key}/")

    def compared_versions(self, key: str) -> Output[TabulateResult]:
        """`comparisons/versions/<key>/`: find the result of a form that compares two versions, which says where the table lies."""
        return Output(f"{self.store_uri}/comparisons/versions/{key}/", TabulateResult)

    def prediction(self, key: str) -> Prediction:
        """`predictions/<key>/`: find a prediction by all that it depends on."""
        return Prediction(f"{self.predictions}{key}/")

    def prediction_plan(self, key: str) -> Output[PredictPlanResult]:
        """`predictions/choices/<key>/`: find the prediction plan of a form."""
        return Output(f"{self.predictions}choices/{key}/", PredictPlanResult)

    def search(self, key: str) -> AskedSearch:
        """`searches/<key>/`: find the search that a form asks for."""
        return AskedSearch(f"{self.store_uri}/searches/{key}/")


def is_probe(uri: str) -> bool:
    """Check whether a listed object is the record of a video."""
    return uri.endswith("/probe.json")


def is_own_class(uri: str) -> bool:
    """Check whether a listed object is one of the store's own classes."""
    return bool(_OWN_CLASS.fullmatch(uri))

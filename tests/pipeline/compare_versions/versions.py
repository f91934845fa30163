"""Registered versions of untrained networks that each give one answer, and datasets of drawn films."""

import hashlib

from tasks.learn.networks.network import Network
from tasks.learn.networks.spec import spec_of
from tasks.options import TrainOptions
from tasks.store.layout import Layout
from tasks.store.records.comparison import Comparison
from tasks.store.records.dataset import DatasetResult
from tests.pipeline.in_process import STORE, Bench
from tests.pipeline.shelf import dataset_clip, manifest_of, plan_result, put_trained, weights_result, words
from tests.records import some

PUT, TAKE = (
    {"verb": "put", "verb_class": 1, "noun": "meat", "noun_class": 26},
    {"verb": "take", "verb_class": 0, "noun": "bag", "noun_class": 20},
)
VOCABULARY = words({0: "take", 1: "put"}, {20: "bag", 26: "meat"})


class Versions(Bench):
    """Two registered versions, of which the first always answers `put meat`, and the second `take bag`."""

    def __init__(self, films, mlflow):
        super().__init__()
        self.films, self.mlflow = films, mlflow
        mlflow.create_registered_model("cook", {"retake.store": STORE})

    def dataset(self, name, **splits):
        """Make a dataset with two clips of each film in its split; film `e` shows somebody put meat, then take a bag."""
        clips = []
        for film, split in splits.items():
            video = hashlib.sha256(film.encode()).hexdigest()
            for cut, label in zip(self.store.clips(video, 2), (PUT, TAKE if film == "e" else PUT), strict=True):
                self.store.write_bytes(cut.uri, self.films[0])
                seen = cut.model_dump(exclude={"index", "size_bytes", "has_audio"})
                clips.append(dataset_clip(split=split, source=film, names=(f"{film} <b>.mp4",), **seen, **label))
        place = Layout(STORE).dataset(name)
        self.store.write(place.manifest, manifest_of(clips, VOCABULARY))
        self.store.write(Layout(STORE).latest_dataset, some(DatasetResult, digest=name, dataset_uri=place.folder_uri))
        return place.folder_uri

    def train(self, key, dataset_uri, answer, **weights):
        """Leave a network as if it had been trained on a dataset, and register it."""
        options = TrainOptions(backbone="test_resnet", num_segments=2)
        network = Network(spec_of(options), seed=int(key))
        network.head.fc_verb.bias.data[answer["verb_class"]] = 1000
        network.head.fc_noun.bias.data[answer["noun_class"]] = 1000
        run, mlflow_run = Layout(STORE).run(key), self.mlflow.create_run("1").info.run_id
        sha256 = put_trained(self.store, network, run_uri=run.folder_uri, mlflow_run_id=mlflow_run)
        placed = {"run_key": key, "run_uri": run.folder_uri, "decision_uri": run.decision("d").folder_uri, "dataset_uri": dataset_uri}
        plan = plan_result(**placed, train=options, weights=weights_result(**weights))
        self.store.write(run.decision("d").plan, plan)
        known = {"retake.checkpoint_uri": run.train.best, "retake.checkpoint_sha256": sha256, "retake.run_key": key}
        self.mlflow.create_model_version("cook", source="", run_id=mlflow_run, tags=known)

    def compare(self, first="models:/cook/1", second="models:/cook/2", **options):
        """Run the step, and return its result and the comparison."""
        few = {"crops": 1, "engine": "pytorch", "bootstrap_resamples": 100}
        result = self.run("compare_versions", first=first, second=second, **few | options)
        return result, self.store.read(result.comparison_uri, Comparison)

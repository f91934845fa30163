"""What every plan of a training fixes: the dataset, the options as they are trained, and the key of the run."""

from dataclasses import dataclass

from tasks.errors import MissingObject, NothingToDo
from tasks.options import EvaluateOptions, TrainOptions, content_key, without_idle
from tasks.results.dataset import DatasetResult
from tasks.results.training import WeightsResult
from tasks.settings import MachineSettings, load
from tasks.storage import Store


@dataclass(frozen=True)
class PlannedTraining:
    """One training: the same options on the same dataset from the same weights are the same run, whoever asks for it."""

    train: TrainOptions
    run_key: str
    run_uri: str

    def evaluations_uri(self, evaluate: EvaluateOptions) -> str:
        """Where the evaluations with these options lie."""
        return f"{self.run_uri}evaluate/{content_key(evaluate.model_dump(mode='json'))}/"


def plan_training(
    store_uri: str, digest: str, options: TrainOptions, weights: WeightsResult, model_name: str, force_token: str | None = None
) -> PlannedTraining:
    """The training of `options` on a dataset; `force_token` makes it one of its own."""
    train = without_idle(options).model_copy(update={"backbone": weights.backbone, "weights": weights.weights, "checkpoint": None})
    members = {"members": [member.checkpoint_sha256 for member in weights.members]} if weights.members else {}
    if members:
        # Nothing else that could be chosen changes a fusion; an alias may point elsewhere tomorrow.
        train = TrainOptions(fuse=list(dict.fromkeys(f"runs/{member.run_key}/" for member in weights.members)))
    run_key = content_key(
        {
            **members,
            "dataset": digest,
            "train": train.model_dump(mode="json"),
            "model_name": model_name,
            "weights": weights.sha256,
            "code": load(MachineSettings).code_version,
            "force": force_token,
        }
    )
    return PlannedTraining(train, run_key, f"{store_uri}/runs/{run_key}/")


def find_dataset(store: Store, store_uri: str, dataset: str | None) -> tuple[str, str]:
    """Address and digest of this dataset, or of the latest.

    Raises:
        NothingToDo: there is none yet.
    """
    if dataset:
        folder = dataset.rstrip("/") + "/"
        return folder, folder.rstrip("/").rsplit("/", 1)[-1]
    try:
        latest = store.read(f"{store_uri}/datasets/result.json", DatasetResult)
    except MissingObject:
        raise NothingToDo(f"there is no dataset in {store_uri} yet; run ingest_videos and build_dataset first") from None
    return latest.dataset_uri, latest.digest

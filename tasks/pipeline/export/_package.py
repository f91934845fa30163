"""Make the package of a registered version: write the network, answer clips by it, judge int8, check it, keep it."""

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tasks.errors import BadConfiguration, MissingObject
from tasks.judge.statistics.scores_file import from_parquet
from tasks.keys import export_key
from tasks.learn.engines.graph import Graph, make_graph
from tasks.learn.engines.written import describe
from tasks.learn.hardware import describe as hardware_of
from tasks.options import ExportOptions, PredictOptions
from tasks.pipeline._checkpoints import fetch_network
from tasks.pipeline._step import finish, finished
from tasks.pipeline.export import _timed
from tasks.pipeline.export._answers import (
    Clips,
    difference_of,
    largest_difference,
    scores_of,
)
from tasks.pipeline.export._contract import contract_of
from tasks.pipeline.export._models import write
from tasks.predict.probabilities import Nothing, fit_threshold, served
from tasks.served.package.contract import Registered
from tasks.served.package.fresh_check import check_package
from tasks.served.package.sample import make_sample
from tasks.served.package.write import TITLES, write_package
from tasks.settings import MlflowSettings, load
from tasks.store.layout import Dataset
from tasks.store.objects import Store
from tasks.store.records.evaluation import EvaluateResult
from tasks.store.records.export import (
    ExportResult,
    PackageCosts,
    PackageScore,
    PackedNetwork,
    artifact_path,
)
from tasks.store.records.record import SplitName
from tasks.store.records.training import PlanResult
from tasks.store.runs import Decision, Export, Run, Scores
from tasks.store.stored import Folder
from tasks.tracking import RegisteredVersion, Tracker
from tasks.wording import count


def pack(model_name: str, version: RegisteredVersion, plan: PlanResult, options: ExportOptions, store: Store) -> ExportResult:
    """Make the package, or find the one that an earlier run made with these options.

    Raises:
        BadConfiguration: the network cannot be written in this format and precision, or does not answer as it does in PyTorch.
        MissingObject: its scores are gone from the store.
    """
    place = Run(plan.run_uri).export(export_key(options))
    if earlier := finished(store, place):
        return earlier
    evaluated = _evaluated(plan, store)
    manifest = store.read(Dataset(plan.dataset_uri).manifest)
    vocabulary = manifest.vocabulary
    with tempfile.TemporaryDirectory(prefix="retake-export-") as name:
        folder = Path(name)
        saved = fetch_network(store, version.checkpoint_uri, version.checkpoint_sha256, folder)
        clips = Clips(saved, manifest, tuple(evaluated), store)
        reference = clips.answers(clips.by_pytorch(), "PyTorch with one crop")
        temperatures = served(reference["val"], 1, "PyTorch in float32", vocabulary.targets)
        graph = make_graph(saved, temperatures.verb, temperatures.noun)
        written = write(graph, options, clips, reference, folder)
        packed = PackedNetwork(
            name=f"{TITLES[options.format]} {written.precision}",
            crops=1,
            size_bytes=sum(path.stat().st_size for path in written.path.parent.iterdir()),
            scores=tuple(score for split, own in written.answers.items() for score in scores_of(own, split, vocabulary)),
            costs=_costs(written.path, clips, graph, folder),
            hardware=hardware_of("cpu").flat(),
        )
        threshold = fit_threshold(
            written.answers["val"],
            temperatures,
            PredictOptions().interval_precision,
            vocabulary.targets,
            crops=1,
            nothing=None if vocabulary.nothing_verb is None else Nothing(vocabulary.nothing_verb, manifest.segment.clip_seconds),
            pairs=manifest.train_actions,
        )
        registered = {
            split: from_parquet(store.read_bytes(result.predictions_uri), result.predictions_uri) for split, result in evaluated.items()
        }
        crops = count(plan.evaluate.crops, "crop")
        differences = tuple(
            difference_of(own, others[split], against, split, vocabulary)
            for split, own in written.answers.items()
            for against, others in ((f"the registered model with {crops}", registered), ("PyTorch with one crop", reference))
        )
        sample = make_sample(saved, manifest.segment.on_grid, [own.name for own in graph.inputs], folder)
        contract = contract_of(
            Registered(
                name=model_name, version=version.version, checkpoint_sha256=version.checkpoint_sha256, network=saved.title, teacher=None
            ),
            plan,
            manifest,
            saved,
            graph,
            packed,
            (options.format, written.precision),
            temperatures,
            threshold,
            sample.tolerance(written.precision),
        )
        describe(written.path, contract.metadata())
        package = folder / "package"
        write_package(package, contract, written.path, sample)
        checked = check_package(package)
        if not checked.passed:
            raise BadConfiguration(
                f"the package of {model_name} version {version.version} failed its check, and is not handed out: {checked}"
            )
        for path in package.rglob("*"):
            if path.is_file():
                store.write_file(Folder(place.package).file(path.relative_to(package).as_posix()), path)
    tracker = Tracker(load(MlflowSettings))
    run_url = tracker.run_url(version.run_id)
    result = ExportResult(
        model_name=model_name,
        version=version.version,
        format=options.format,
        precision=written.precision,
        asked_precision=options.precision,
        refused=written.refused,
        export_uri=place.folder_uri,
        size_bytes=packed.size_bytes,
        networks=(packed, _as_registered(f"{model_name} version {version.version}", evaluated, version, store)),
        differences=differences,
        max_difference=max(largest_difference(own, reference[split]) for split, own in written.answers.items()),
        check=str(checked),
        mlflow_run_url=run_url,
        artifacts_url=f"{run_url}/artifacts/{artifact_path(options.format, written.precision)}",
        report_url=_report_url(plan, store),
    )
    return finish(store, place, result)


def copy_package(place: Export, folder: Path, store: Store) -> None:
    """Copy the files of a package to a folder."""
    for stored in store.list(place.package):
        path = folder / Folder(place.package).name_of(stored.uri)
        path.parent.mkdir(parents=True, exist_ok=True)
        store.read_file(stored.uri, path)


def _evaluated(plan: PlanResult, store: Store) -> dict[SplitName, EvaluateResult]:
    """Read the registered model's scores on val, and on test if it was scored there."""
    places = {e.split: Scores(e.out) for e in plan.evaluations if e.model == "fine-tuned" and e.split != "train"}
    results: dict[SplitName, EvaluateResult] = {split: store.read(place) for split, place in places.items() if store.exists(place.uri)}
    if "val" not in results:
        raise MissingObject(f"{plan.run_uri} has no scores on val, beside which a package is judged; run retrain with Decide again")
    return results


def _costs(model: Path, clips: Clips, graph: Graph, folder: Path) -> PackageCosts:
    """Time a written model in a process of its own, on a clip of val."""
    (inputs,) = clips.inputs(clips.of_split("val")[:1], graph)
    np.savez(folder / "clip.npz", allow_pickle=False, **inputs)
    command = [sys.executable, "-I", _timed.__file__, str(model), str(folder / "clip.npz")]
    return PackageCosts.model_validate_json(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)  # noqa: S603 - our own file


def _as_registered(name: str, evaluated: Mapping[SplitName, EvaluateResult], version: RegisteredVersion, store: Store) -> PackedNetwork:
    """Describe the registered model as its evaluation found it."""
    val, stored = evaluated["val"], store.stat(version.checkpoint_uri)
    return PackedNetwork(
        name=f"{name}, {val.engine.label}",
        crops=val.own_crops or val.crops,
        size_bytes=stored.size_bytes if stored else 0,
        scores=tuple(
            PackageScore(
                split=split,
                target=target,
                num_clips=result.num_clips,
                num_sources=result.num_sources,
                top1=getattr(result, target).top1,
                top1_interval=getattr(result, target).top1_interval,
            )
            for split, result in evaluated.items()
            for target in result.targets
        ),
        costs=PackageCosts(
            num_timed=val.latency.num_clips,
            median_seconds=val.latency.inference_median_seconds,
            p90_seconds=val.latency.inference_p90_seconds,
            clips_per_second=val.latency.clips_per_second,
            peak_memory_bytes=val.peak_memory_bytes,
        ),
        hardware=val.hardware,
    )


def _report_url(plan: PlanResult, store: Store) -> str:
    report = Decision(plan.decision_uri).report
    return store.read(report).report_url if store.exists(report.uri) else ""

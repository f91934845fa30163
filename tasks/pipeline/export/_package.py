"""Make, check and keep the package of a registered version or its student."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version as version_of
from pathlib import Path

import numpy as np

from tasks.errors import BadConfiguration, BadInput, MissingObject
from tasks.judge.statistics.answers import from_parquet
from tasks.learn.engines.graph import OPSET, Graph, make_graph
from tasks.learn.engines.model_files import describe
from tasks.learn.hardware import describe as hardware_of
from tasks.learn.networks.backbones import of
from tasks.learn.networks.checkpoints import Saved
from tasks.options import ExportOptions, PredictOptions, Weights
from tasks.pipeline._checkpoints import fetch_network
from tasks.pipeline._results import earlier_result, finish, log
from tasks.pipeline._trained import Trained, first_weights, plan_of
from tasks.pipeline.export import _timed
from tasks.pipeline.export._models import Answers, Clips, Written, difference_of, largest_difference, scores_of, write
from tasks.pipeline.export.contract import package_of
from tasks.predict.probabilities import Nothing, Served, fit_threshold, served
from tasks.served.package.folder import TITLES, Contract, Registered, check_package, input_of, window_of, write_package
from tasks.served.package.sample import Sample, make_sample
from tasks.settings import MachineSettings, MlflowSettings, load
from tasks.store.layout import Dataset, Layout
from tasks.store.objects import Store
from tasks.store.records.evaluation import EvaluateResult
from tasks.store.records.export import ExportResult, PackageCosts, PackageFormat, PackageScore, PackedNetwork
from tasks.store.records.record import SplitName
from tasks.store.records.training import PlanResult
from tasks.store.run_layout import Decision, Package, Run, Scores, run_name
from tasks.store.stored import Folder, last_name
from tasks.tracking import RegisteredVersion, Tracker
from tasks.wording import count

RUNTIMES = {"onnx": ("onnx", "onnxruntime"), "openvino": ("openvino",)}


@dataclass(frozen=True)
class Evaluated:
    """A trained network beside the package, as scored on val, and perhaps on test."""

    name: str
    title: str
    checkpoint_uri: str
    checkpoint_sha256: str
    num_crops: int
    results: Mapping[SplitName, EvaluateResult]

    def answers(self, store: Store) -> Answers:
        return {split: from_parquet(store.read_bytes(own.predictions_uri), own.predictions_uri) for split, own in self.results.items()}


@dataclass(frozen=True)
class _Made:
    """A network written for a package, with its measurements."""

    format: PackageFormat
    clips: Clips
    graph: Graph
    temperatures: Served
    written: Written
    packed: PackedNetwork
    sample: Sample


def pack(
    model_name: str, version: RegisteredVersion, plan: PlanResult, options: ExportOptions, store: Store, student: Trained | None = None
) -> ExportResult:
    """Make the package and hand it to MLflow, or find the one made before.

    Args:
        plan: of the version's training.
        student: of the version, to be packed in its place.

    Raises:
        BadConfiguration: the network cannot be written so, or does not answer as it does in PyTorch.
        MissingObject: its scores are gone from the store.
    """
    title, shown, packed_plan, run_id = f"{model_name} version {version.version}", "", plan, version.run_id
    if student:
        run = Layout(Run(plan.run_uri).store_uri).run(student.run_key)
        packed_plan, run_id = plan_of(run, store), store.read(run.train).mlflow_run_id
        # A version may have several students of one backbone.
        shown = f"student {packed_plan.train.backbone} ({run_name(student.run_key)}), "
    place = package_of(Run(plan.run_uri), options, student.run_key if student else None)
    if earlier := _made_before(place, store):
        return earlier
    registered = _evaluated("the registered model", title, version, plan, store)
    source = _evaluated("the student", student.label, student, packed_plan, store) if student else registered
    beside = (source, registered) if student else (source,)
    manifest = store.read(Dataset(packed_plan.dataset_uri).manifest)
    vocabulary = manifest.vocabulary
    with tempfile.TemporaryDirectory(prefix="retake-export-") as name:
        folder = Path(name)
        saved = fetch_network(store, source.checkpoint_uri, source.checkpoint_sha256)
        clips = Clips(saved, manifest, tuple(source.results), store)
        reference = clips.answers(clips.by_pytorch(), "PyTorch with one crop")
        temperatures = served(reference["val"], 1, "PyTorch in float32", vocabulary.targets)
        graph = make_graph(saved, temperatures.verb, temperatures.noun)
        written = write(graph, options, clips, reference, folder)
        packed = PackedNetwork(
            name=f"{shown}{TITLES[options.format]} {written.precision}",
            crops=1,
            size_bytes=sum(path.stat().st_size for path in written.path.parent.iterdir()),
            scores=tuple(score for split, scored in written.answers.items() for score in scores_of(scored, split, vocabulary)),
            costs=_costs(written.path, clips, graph, folder),
            hardware=hardware_of("cpu").flat(),
        )
        others = [
            *((f"{own.name} with {count(own.num_crops, 'crop')}", own is registered, own.answers(store)) for own in beside),
            ("PyTorch with one crop", False, reference),
        ]
        differences = tuple(
            difference_of(scored, answers[split], against, split, vocabulary, against_registered=against_registered)
            for split, scored in written.answers.items()
            for against, against_registered, answers in others
            if split in answers
        )
        sample = make_sample(saved, manifest.segment.on_grid, [own.name for own in graph.inputs], folder)
        if written.precision == "int8":
            sample = sample.expecting(written.path)
        registered_as = Registered(
            name=model_name,
            version=version.version,
            checkpoint_sha256=source.checkpoint_sha256,
            network=saved.title,
            teacher=f"{title}, {plan.weights.network}" if student else None,
        )
        largest = max(largest_difference(scored, reference[split]) for split, scored in written.answers.items())
        licence = licence_of(packed_plan, saved, store)
        made = _Made(options.format, clips, graph, temperatures, written, packed, sample)
        contract = _contract(made, registered_as, licence, largest)
        describe(written.path, contract.metadata())
        package = folder / "package"
        write_package(package, contract, written.path, sample)
        log.info("checking the package in a fresh environment")
        checked = check_package(package)
        if not checked.passed:
            raise BadConfiguration(f"the package of {source.title} failed its check, and is not handed out: {checked}")
        size_bytes = _keep(package, place, store)
        tracker = Tracker(load(MlflowSettings))
        # The key, because the fp32 in place of a refused int8 is another package than one that was asked for.
        artifact_path = f"export/{options.format}-{written.precision}-{last_name(place.folder_uri)}"
        tracker.log_artifacts(run_id, package, artifact_path)
    run_url, report = tracker.run_url(run_id), Decision(plan.decision_uri).report
    result = ExportResult(
        model_name=model_name,
        version=version.version,
        format=options.format,
        precision=written.precision,
        refused=written.refused,
        export_uri=place.folder_uri,
        size_bytes=size_bytes,
        networks=(packed, *(_as_evaluated(network, store) for network in beside)),
        differences=differences,
        max_difference=largest,
        check=str(checked),
        code_version=load(MachineSettings).code_version,
        mlflow_run_url=run_url,
        artifacts_url=f"{run_url}/artifacts/{artifact_path}",
        report_url=store.read(report).report_url if store.exists(report.uri) else "",
    )
    return finish(store, place, result)


def _made_before(place: Package, store: Store) -> ExportResult | None:
    """Find the package that this version of Retake made."""
    try:
        if earlier := earlier_result(store, place):
            if earlier.code_version == load(MachineSettings).code_version:
                return earlier
            log.info("another version of Retake made it; making it anew")
    except BadInput as error:  # another version of Retake wrote it
        log.warning("%s", error)
    return None


def _contract(made: _Made, registered: Registered, licence: str, max_difference: float) -> Contract:
    """Fill in the contract from the network's training and measurements.

    `registered` is the version, or its student.
    """
    manifest, saved, temperatures, nothing = made.clips.manifest, made.clips.saved, made.temperatures, made.clips.vocabulary.nothing_verb
    window = window_of(manifest.segment.on_grid)
    threshold = fit_threshold(
        made.written.answers["val"],
        temperatures,
        PredictOptions().interval_precision,
        made.clips.vocabulary.targets,
        crops=1,
        nothing=None if nothing is None else Nothing(nothing, manifest.segment.clip_seconds),
        pairs=manifest.train_actions,
    )
    return Contract(
        registered=registered,
        format=made.format,
        precision=made.written.precision,
        refused=made.written.refused,
        window=window,
        inputs=tuple(input_of(own, network.spec, window) for own, network in zip(made.graph.inputs, saved.networks, strict=True)),
        outputs=made.graph.outputs,
        verbs=saved.classes.verbs,
        nouns=saved.classes.nouns,
        pairs=manifest.train_actions,
        nothing=nothing,
        verb_temperature=temperatures.verb,
        noun_temperature=temperatures.noun,
        calibration=temperatures.words,
        threshold=threshold.probability,
        reports=threshold.reports,
        interval_words=threshold.words,
        tolerance=made.sample.tolerance(made.written.precision),
        max_difference=max_difference,
        weights_licence=licence,
        versions={
            "retake": load(MachineSettings).code_version,
            "opset": str(OPSET),
            **{name: version_of(name) for name in ("torch", *RUNTIMES[made.format])},
        },
        scores=made.packed.scores,
        hardware=f"{made.packed.hardware['device_name']}, {count(int(made.packed.hardware['num_cores']), 'core')}",
    )


def _keep(package: Path, place: Package, store: Store) -> int:
    """Keep a package's files in place of an earlier one's; return their bytes."""
    files = [path for path in package.rglob("*") if path.is_file()]
    store.delete([stored.uri for stored in store.list(place.files)])
    for path in files:
        store.write_file(Folder(place.files).file(path.relative_to(package).as_posix()), path)
    return sum(path.stat().st_size for path in files)


def copy_package(place: Package, folder: Path, store: Store) -> None:
    for stored in store.list(place.files):
        path = folder / Folder(place.files).name_of(stored.uri)
        path.parent.mkdir(parents=True, exist_ok=True)
        store.read_file(stored.uri, path)


def licence_of(plan: PlanResult, saved: Saved, store: Store) -> str:
    """Name the licences of the published weights that a network's first trainings began with.

    Empty if they are not known.
    """
    try:
        first = first_weights(plan, store)
    except BadInput as error:  # the plan of an earlier training is gone
        log.warning("the licence of the weights is not known: %s", error)
        return ""
    return ", ".join(sorted({of(network.spec).licence for network in saved.networks} - {""})) if first == {Weights.IMAGENET} else ""


def _evaluated(name: str, title: str, network: RegisteredVersion | Trained, plan: PlanResult, store: Store) -> Evaluated:
    """Read a network's scores on val, and on test if it was scored there."""
    places = {e.split: Scores(e.out) for e in plan.evaluations if e.model == "fine-tuned" and e.split != "train"}
    results: dict[SplitName, EvaluateResult] = {split: store.read(place) for split, place in places.items() if store.exists(place.uri)}
    if "val" not in results:
        raise MissingObject(f"{plan.run_uri} has no scores on val, beside which a package is judged; run retrain with Decide again")
    return Evaluated(name, title, network.checkpoint_uri, network.checkpoint_sha256, plan.evaluate.crops, results)


def _costs(model: Path, clips: Clips, graph: Graph, folder: Path) -> PackageCosts:
    """Time a written model in a process of its own, on a clip of val."""
    log.info("timing the model in a process of its own")
    (inputs,) = clips.inputs(clips.of_split("val")[:1], graph)
    np.savez(folder / "clip.npz", allow_pickle=False, **inputs)
    command = [sys.executable, "-I", _timed.__file__, str(model), str(folder / "clip.npz"), str(time.time())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own file
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise BadConfiguration(f"the written model does not run in a process of its own ({last}); choose another format or precision")
    return PackageCosts.model_validate_json(done.stdout)


def _as_evaluated(network: Evaluated, store: Store) -> PackedNetwork:
    """Describe a network as its evaluation measured it."""
    val, stored = network.results["val"], store.stat(network.checkpoint_uri)
    return PackedNetwork(
        name=f"{network.title}, {val.engine.label}",
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
            for split, result in network.results.items()
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

"""Registers the fine-tuned network in MLflow as challenger, and as champion where it won."""

import tempfile
from importlib.metadata import version
from pathlib import Path

from tasks.model.export import export_module
from tasks.model.network import Network
from tasks.options import StoreUri
from tasks.results.dataset import Manifest
from tasks.results.evaluation import CompareResult, RegisterResult
from tasks.results.training import PlanResult, TrainResult
from tasks.settings import MachineSettings, MlflowSettings, load
from tasks.steps._networks import SHORT_SIDE, fetch_network
from tasks.steps._step import StepArguments, finish, finished, log, result_uri
from tasks.steps._tracked import tracked_run
from tasks.storage import Store
from tasks.tracking import CHALLENGER, CHAMPION, Tracker, VersionCard


class Arguments(StepArguments):
    """The plan whose network is registered."""

    plan: StoreUri


def run(arguments: Arguments, store: Store) -> RegisterResult:
    """Register the network once, and move the aliases. Without a win the champion stays."""
    if earlier := finished(store, arguments.out, RegisterResult):
        return earlier
    plan = store.read(result_uri(arguments.plan), PlanResult)
    manifest = store.read(f"{plan.dataset_uri}manifest.json", Manifest)
    trained = store.read(result_uri(f"{plan.run_uri}train/"), TrainResult)
    compared = store.read(result_uri(f"{plan.run_uri}compare/"), CompareResult)
    tracker = Tracker.from_settings(load(MlflowSettings))
    with tracked_run(tracker, plan) as run_id, tempfile.TemporaryDirectory(prefix="retake-register-") as folder:
        network = fetch_network(store, trained.checkpoint_uri, trained.checkpoint_sha256, Path(folder)).network
        module, example = export_module(network)
        name = plan.model_name
        number = tracker.register(name, run_id, plan.run_key, module, example, _card(plan, manifest, trained, compared, network))
        tracker.set_alias(name, CHALLENGER, number)
        if _wins(compared, plan, tracker):
            tracker.set_alias(name, CHAMPION, number)
        aliases = tracker.aliases(name, number)
        result = RegisterResult(
            model_name=name,
            version=number,
            aliases=aliases,
            mlflow_run_id=run_id,
            mlflow_run_url=tracker.run_url(run_id),
        )
    tracker.finish(run_id)
    log.info("registered %s version %d, aliases %s: %s", result.model_name, number, ", ".join(aliases), result.mlflow_run_url)
    return finish(store, arguments.out, result)


def _wins(compared: CompareResult, plan: PlanResult, tracker: Tracker) -> bool:
    """The comparison holds only against the champion that it was made with."""
    champion = tracker.champion(plan.model_name)
    now = champion.version if champion else None
    if compared.promote and now != compared.champion_version:
        log.warning(
            "not promoted: it was compared with %s, but now %s; run `retrain` again to compare with it",
            f"champion version {compared.champion_version}" if compared.champion_version else "no champion",
            f"version {now} is champion" if now else "there is no champion",
        )
        return False
    return compared.promote


def _card(plan: PlanResult, manifest: Manifest, trained: TrainResult, compared: CompareResult, network: Network) -> VersionCard:
    """What a person who finds the version needs to know of it."""
    spec = network.spec
    return VersionCard(
        description=compared.reason,
        checkpoint_uri=trained.checkpoint_uri,
        checkpoint_sha256=trained.checkpoint_sha256,
        output_names=("verb_logits", "noun_logits"),
        requirements=tuple(f"{package}=={version(package).partition('+')[0]}" for package in ("torch", "numpy")),
        metadata={
            "verbs": {ref.id: ref.name for ref in manifest.vocabulary.verbs},
            "nouns": {ref.id: ref.name for ref in manifest.vocabulary.nouns},
            "preprocessing": {
                "frames": f"{spec.num_segments} frames, at int(tick / 2 + tick * i) with tick = number of frames / {spec.num_segments}",
                "pixels": f"RGB, uint8, (clips, frames, height, width, 3), short side {SHORT_SIDE}; crop and normalisation are inside",
                "clip_seconds": manifest.segment.clip_seconds,
                "fps": manifest.segment.fps,
            },
        },
        tags={
            "retake.network": str(spec),
            "retake.dataset_digest": plan.dataset_digest,
            "retake.dataset_uri": plan.dataset_uri,
            "retake.weights": plan.weights.description,
            "retake.weights_sha256": plan.weights.sha256,
            "retake.git_revision": load(MachineSettings).code_version,
            "retake.decision": compared.reason,
        },
    )

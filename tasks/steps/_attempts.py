"""Finds in the store which networks the deciding clips have decided on before."""

from tasks.errors import MissingObject
from tasks.promotion.attempts import Decided, attempt_of
from tasks.promotion.gate import deciding_split
from tasks.results.dataset import Manifest
from tasks.results.evaluation import Attempt
from tasks.results.record import SPLITS
from tasks.results.training import PlanResult
from tasks.steps._decisions import kept_decisions
from tasks.steps._planning import plans_under
from tasks.steps._step import log
from tasks.storage import Store


def attempt_in_store(store: Store, store_uri: str, plan: PlanResult, manifest: Manifest) -> Attempt:
    """Count the decisions under this plan's model name on clips such as those that decide on it; a rollback is none."""
    manifests = {plan.dataset_uri: manifest}
    this = _decided(plan, manifest)
    records = kept_decisions(store, store_uri)
    run_keys = {one.run_key for one in records if one.model_name == plan.model_name and one.event != "rolled back"}
    earlier = []
    for run_key in sorted(run_keys - {plan.run_key}):
        if not (plans := plans_under(f"{store_uri}/runs/{run_key}/", store)):
            log.warning("run %s was decided on, and its plan is gone: it is not counted among the decisions on these clips", run_key)
            continue
        dataset_uri = plans[0].dataset_uri
        try:
            if dataset_uri not in manifests:
                manifests[dataset_uri] = store.read(f"{dataset_uri}manifest.json", Manifest)
        except MissingObject as error:
            log.warning("run %s is not counted among the decisions on these clips: %s", run_key, error)
            continue
        earlier.append(_decided(plans[0], manifests[dataset_uri]))
    return attempt_of(this, earlier)


def _decided(plan: PlanResult, manifest: Manifest) -> Decided:
    split = deciding_split([split for split in SPLITS if any(clip.split == split for clip in manifest.clips)])
    return Decided(plan.run_key, plan.dataset_digest, frozenset(clip.uid for clip in manifest.clips if clip.split == split))

"""A training that a clean-up deleted, as a whole or in part, is made again."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from tasks.store.layout import Layout
from tests.pipeline.shelf import Fragile, Killed

pytestmark = pytest.mark.slow
ONE_STEP = {"batch_size": 4}


def trained(bench):
    """Train and test a network; return its answers and its version."""
    bench.decide(**ONE_STEP)
    bench.run("train")
    return bench.evaluate_trained(), bench.register()


@pytest.mark.parametrize("deletes_at_most", [1, 8])
def test_a_whole_chain_runs_wherever_a_clean_up_was_killed(bench, deletes_at_most):
    bench.store = Fragile()
    bench.label(("put", 1, "meat", 26), ("take", 2, "bag", 27))
    before, first = trained(bench)
    long_ago = datetime.now(UTC) - timedelta(days=100)
    bench.store.written = dict.fromkeys(bench.store.objects, long_ago)
    # The latest plan, the training on the page and a report that awaits its decision keep a training.
    of_model = Layout("s3://retake").status.of_model(first.model_name)
    for uri in ("s3://retake/plans/latest/result.json", of_model.training.uri, f"{bench.plan.decision_uri}report/result.json"):
        bench.store.remove(uri)
    bench.mlflow.delete_registered_model_alias(first.model_name, "challenger")
    bench.store.deletes_at_most = deletes_at_most
    with pytest.raises(Killed):
        bench.run("clean_up", dry_run=False)
    again, second = trained(bench)
    assert (again.verb_logits == before.verb_logits).all()
    known = bench.mlflow.get_model_version(second.model_name, str(second.version)).tags
    assert known["retake.checkpoint_sha256"] == hashlib.sha256(bench.store.objects[known["retake.checkpoint_uri"]]).hexdigest()

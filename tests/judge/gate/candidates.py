"""Versions that wait for a decision: each with the plan, comparison, report and registration that the steps before `decide` leave."""

import csv
import io

from tasks.errors import Unavailable
from tasks.judge.gate.champion import moves
from tasks.options import GateOptions
from tasks.pipeline.retrain import decide, rollback
from tasks.pipeline.retrain.contract import DecideArguments, RollbackArguments
from tasks.store.records.decisions import CompareResult, RegisterResult, ReportResult
from tasks.store.records.training import Champion
from tests.pipeline.shelf import plan_result
from tests.records import some


def cut_off(*args):
    raise Unavailable("cut off")


def compared(gate, champion=None, passed=True, provisional=False):
    consequence = "Not all rules passed, and it may lead." if provisional else ""
    return some(
        CompareResult,
        split="val",
        opponent="champion" if champion else "baseline",
        champion_version=champion,
        gate=gate,
        passed=passed,
        provisional=provisional,
        reason=f"60.0 % against 50.0 %. {consequence}".rstrip(". "),
        consequence=consequence,
    )


class Candidates:
    """Versions of a new registered model."""

    def __init__(self, store, client, root, model_name):
        self.store, self.client, self.root, self.model_name = store, client, root, model_name
        client.create_registered_model(model_name, tags={"retake.store": root})
        self.experiment = client.create_experiment(model_name)
        store.write_bytes(f"{root}/c", b"checkpoint")

    def make(self, *, champion=None, passed=True, provisional=False, **gate):
        """Register a version, to be compared with the champion of this number."""
        run = self.client.create_run(self.experiment)
        run_key = run.info.run_id[-16:]
        tags = {"retake.checkpoint_uri": f"{self.root}/c", "retake.checkpoint_sha256": "0" * 64, "retake.run_key": run_key}
        version = self.client.create_model_version(
            self.model_name, source=f"runs:/{run.info.run_id}/model", run_id=run.info.run_id, tags=tags
        )
        run_uri = f"{self.root}/runs/{run_key}/"
        plan = plan_result(
            run_key=run_key,
            run_uri=run_uri,
            gate=GateOptions(**gate),
            decision_uri=f"{run_uri}decisions/1/",
            num_champions=len(moves(self.store, self.root, self.model_name)),
            model_name=self.model_name,
            champion=champion and Champion(version=champion, checkpoint_uri="s3://c", checkpoint_sha256="0"),
        )
        comparison = compared(plan.gate, champion, passed, provisional)
        card_uri = f"{plan.decision_uri}report/README.md"
        reported = some(ReportResult, card_uri=card_uri, awaits_approval=comparison.awaits_approval)
        registered = some(RegisterResult, model_name=self.model_name, version=int(version.version), mlflow_run_id=run.info.run_id)
        self.store.write_bytes(card_uri, f"---\ntags: [video]\n---\n\n# m\n\nCard of {run_key}\n".encode())
        self.store.write(f"{plan.decision_uri}report/result.json", reported)
        self.store.write(f"{plan.decision_uri}plan/result.json", plan)
        self.store.write(f"{plan.decision_uri}compare/result.json", comparison)
        self.store.write(f"{run_uri}register/result.json", registered)
        return plan

    def again(self, plan, **changes):
        """Compare a version's network once more, with another outcome."""
        key = f"{plan.run_uri}decisions/{len(self.lines()) + 1}/"
        plan = plan.model_copy(update={"decision_uri": key, "num_champions": len(moves(self.store, self.root, self.model_name))})
        reported = some(ReportResult, card_uri=f"{plan.run_uri}decisions/1/report/README.md")
        self.store.write(f"{key}report/result.json", reported)
        self.store.write(f"{key}plan/result.json", plan)
        self.store.write(f"{key}compare/result.json", compared(plan.gate, **changes))
        return plan

    def decide(self, plan, **answer):
        return decide.run(DecideArguments(store=self.root, plan=f"{plan.decision_uri}plan/", **answer), self.store)

    def roll_back(self, to, reason="worse in the evening"):
        return rollback.run(RollbackArguments(to=to, reason=reason, model_name=self.model_name, by="ada"), self.store)

    @property
    def champion(self):
        aliases = self.client.get_registered_model(self.model_name).aliases
        return int(aliases["champion"]) if "champion" in aliases else None

    def lines(self):
        """The model's part of the table of decisions."""
        table = csv.DictReader(io.StringIO(self.store.read_bytes(f"{self.root}/decisions.csv").decode()))
        return [row for row in table if row["model_name"] == self.model_name]

    def tags(self, version):
        return self.client.get_model_version(self.model_name, str(version)).tags

"""Where a training, its evaluations and the decisions on it lie; `layout` has the rest of the store."""

import re
from dataclasses import dataclass
from typing import Literal, NamedTuple, Self

from tasks.results.evaluation import CompareResult, DecideResult, EvaluateResult, EvaluateResults, RegisterResult, ReportResult
from tasks.results.flow import FlowBatch, FlowResult, FlowsResult
from tasks.results.fusion import Fusion
from tasks.results.metrics import Metrics
from tasks.results.record import SplitName
from tasks.results.search import TrialScore
from tasks.results.training import PlanResult, TrainResult
from tasks.store.stored import Below, Output, Stored, file, last_name, output, record

_RUN = re.compile(r"(?:(s3://.+)/)?runs/([0-9a-f]{16})/?")
_DECISION = re.compile(r"s3://\S+/runs/[0-9a-f]{16}/decisions/[0-9a-f]{16}/")


@dataclass(frozen=True)
class Flows(Output[FlowsResult]):
    """`flows/`: the batches of clips whose optical flow was missing."""

    model: type[FlowsResult] = FlowsResult

    def batch(self, recipe: str, number: int) -> Stored[FlowBatch]:
        """Give the clips of one mapped task."""
        return Stored(f"{self.place_uri}{recipe}/{number:04d}.json", FlowBatch)

    def computed(self, recipe: str, number: int) -> Output[FlowResult]:
        """Give the output of the mapped task that computes the flow of a batch."""
        return Output(f"{self.place_uri}{recipe}/{number:04d}/", FlowResult)


@dataclass(frozen=True)
class Training(Output[TrainResult]):
    """`runs/<run key>/train/`: the checkpoints, written after each epoch or at intervals, and the history."""

    model: type[TrainResult] = TrainResult

    best = file("best.pt")
    last = file("last.ckpt")
    """The checkpoint that a retry goes on from."""
    answers = file("answers.parquet")
    """How the heads that a long training kept answer val, a row for each of them and each clip."""
    fusion = record("fusion.json", Fusion)

    def heads(self, number: int) -> str:
        """Give the address of the heads after `number` epochs of a long training."""
        return self.file(f"heads/{number:06d}.pt")


@dataclass(frozen=True)
class Scores(Output[EvaluateResult]):
    """`runs/<run key>/evaluate/<key>/<network>/<split>/`: one network's scores on one split."""

    model: type[EvaluateResult] = EvaluateResult

    predictions = file("predictions.parquet")
    fingerprints = file("fingerprints.parquet")

    def activation(self, uid: str, target: Literal["verb", "noun"]) -> str:
        """Give the address of a picture of where the network looked in a clip."""
        return self.file(f"activations/{uid}-{target}.png")


@dataclass(frozen=True)
class Evaluations:
    """`runs/<run key>/evaluate/<key>/`: every evaluation with the same options."""

    folder_uri: str

    def scores(self, network: str, split: SplitName) -> Scores:
        """Find the scores of a network on a split."""
        return Scores(f"{self.folder_uri}{network}/{split}/")


@dataclass(frozen=True)
class Comparing(Output[CompareResult]):
    """`compare/` of a decision: the fine-tuned network beside its opponents."""

    model: type[CompareResult] = CompareResult

    table = file("comparison.md")
    text = file("comparison.txt")

    @classmethod
    def of(cls, result: CompareResult) -> Self:
        """Find the comparison that left a result, by the address of its table."""
        return cls(result.table_uri.removesuffix("comparison.md"))


@dataclass(frozen=True)
class Report(Output[ReportResult]):
    """`report/` of a decision: the page, its numbers and the model card."""

    model: type[ReportResult] = ReportResult

    page = file("report.html")
    metrics = record("metrics.json", Metrics)
    schema = file("metrics.schema.json")
    card = file("README.md")


@dataclass(frozen=True)
class Decision:
    """`runs/<run key>/decisions/<key>/`: one decision on a trained network, by one gate, against one champion."""

    folder_uri: str

    plan = output("plan/", PlanResult)
    compare = Below("compare/", Comparing)
    report = Below("report/", Report)
    decide = output("decide/", DecideResult)

    @property
    def key(self) -> str:
        """Name the gate, the champion and the way of scoring."""
        return last_name(self.folder_uri)

    def evaluate(self, network: str) -> Output[EvaluateResults]:
        """Give the list of a network's scores."""
        return Output(f"{self.folder_uri}evaluate/{network}/", EvaluateResults)


@dataclass(frozen=True)
class Run:
    """`runs/<run key>/`: one training, whoever asks for it."""

    folder_uri: str

    flows = Below("flows/", Flows)
    train = Below("train/", Training)
    register = output("register/", RegisterResult)
    decisions = file("decisions/")

    @property
    def store_uri(self) -> str:
        """Give the store that the training lies in."""
        return self.folder_uri.rpartition("/runs/")[0]

    @property
    def key(self) -> str:
        """Name the dataset, the options and everything else that makes the training."""
        return last_name(self.folder_uri)

    def evaluations(self, key: str) -> Evaluations:
        """Find the evaluations with the options that `key` names."""
        return Evaluations(f"{self.folder_uri}evaluate/{key}/")

    def validation(self, crops: int) -> Stored[TrialScore]:
        """Give the training's curve and its answers on its validation clips, by the crops of their test."""
        return Stored(f"{self.folder_uri}validation/{crops}-crops.json", TrialScore)

    def known(self, key: str) -> str:
        """Give the address of what the network sees in a sample of its training clips."""
        return f"{self.folder_uri}known/{key}.npy"

    def decision(self, key: str) -> Decision:
        """Find a decision on the training."""
        return Decision(f"{self.decisions}{key}/")

    def comparison(self, key: str) -> Decision:
        """`runs/<run key>/comparisons/<key>/`: find the plan of the training in a comparison of networks, which decides nothing."""
        return Decision(f"{self.folder_uri}comparisons/{key}/")


def run_beside(uri: str, key: str, otherwise: str) -> Run:
    """Find a training in the store of `uri`, an address below any run, and in the store `otherwise` where `uri` is below none."""
    root, found, _ = uri.rpartition("/runs/")
    return Run(f"{root if found else otherwise}/runs/{key}/")


class NamedRun(NamedTuple):
    """A training as people name it in options; without a store it is one of theirs."""

    store: str | None
    key: str


def parse_run(text: str) -> NamedRun | None:
    """Read `runs/<run key>/`, with or without a store before it; None for any other text."""
    found = _RUN.fullmatch(text)
    return NamedRun(found[1], found[2]) if found else None


def run_name(key: str) -> str:
    """Give the name of a training in its store, as people write it in options."""
    return f"runs/{key}/"


def deciding(uri: str, step: Literal["plan", "decide"]) -> Decision | None:
    """Find the decision whose `step` has its commit mark at `uri`; None for any other object."""
    mark = f"/{step}/result.json"
    return Decision(f"{uri.removesuffix(mark)}/") if uri.endswith(mark) else None


def find_decision(text: str) -> Decision | None:
    """Find the first address of a decision in a text, such as a log line."""
    found = _DECISION.search(text)
    return Decision(found.group()) if found else None

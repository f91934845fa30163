"""Where a training, its evaluations and the decisions on it lie; `layout` has the rest of the store."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from tasks.results.evaluation import CompareResult, DecideResult, EvaluateResult, EvaluateResults, RegisterResult, ReportResult
from tasks.results.flow import FlowBatch, FlowResult, FlowsResult
from tasks.results.fusion import Fusion
from tasks.results.metrics import Metrics
from tasks.results.record import SplitName
from tasks.results.training import PlanResult, TrainResult
from tasks.store.stored import Output, Stored

if TYPE_CHECKING:
    from typing import Self

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
    """`runs/<run key>/train/`: the checkpoints, written after each epoch, and the curves."""

    model: type[TrainResult] = TrainResult

    @property
    def best(self) -> str:
        """Give the address of the best checkpoint so far."""
        return self.file("best.pt")

    @property
    def last(self) -> str:
        """Give the address of the checkpoint that a retry goes on from."""
        return self.file("last.ckpt")

    @property
    def fusion(self) -> Stored[Fusion]:
        """Give the weights that were chosen for a fusion."""
        return Stored(self.file("fusion.json"), Fusion)


@dataclass(frozen=True)
class Scores(Output[EvaluateResult]):
    """`runs/<run key>/evaluate/<key>/<network>/<split>/`: one network's scores on one split."""

    model: type[EvaluateResult] = EvaluateResult

    @property
    def predictions(self) -> str:
        """Give the address of the answers, a row for each clip."""
        return self.file("predictions.parquet")

    @property
    def fingerprints(self) -> str:
        """Give the address of the fingerprints of the clips."""
        return self.file("fingerprints.parquet")

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

    @property
    def table(self) -> str:
        """Give the address of the tables as Markdown."""
        return self.file("comparison.md")

    @property
    def text(self) -> str:
        """Give the address of the tables as plain text."""
        return self.file("comparison.txt")

    @property
    def figure(self) -> str:
        """Give the address of the figure."""
        return self.file("comparison.png")

    @classmethod
    def of(cls, result: CompareResult) -> "Self":
        """Find the comparison that left a result, by the address of its table."""
        return cls(result.table_uri.removesuffix("comparison.md"))


@dataclass(frozen=True)
class Report(Output[ReportResult]):
    """`report/` of a decision: the page, its numbers and the model card."""

    model: type[ReportResult] = ReportResult

    @property
    def page(self) -> str:
        """Give the address of the page."""
        return self.file("report.html")

    @property
    def metrics(self) -> Stored[Metrics]:
        """Give the numbers of the page."""
        return Stored(self.file("metrics.json"), Metrics)

    @property
    def schema(self) -> str:
        """Give the address of the JSON schema of the numbers."""
        return self.file("metrics.schema.json")

    @property
    def card(self) -> str:
        """Give the address of the model card."""
        return self.file("README.md")


@dataclass(frozen=True)
class Decision:
    """`runs/<run key>/decisions/<key>/`: one decision on a trained network, by one gate, against one champion."""

    folder_uri: str

    @property
    def key(self) -> str:
        """Name the gate, the champion and the way of scoring."""
        return self.folder_uri.rstrip("/").rpartition("/")[2]

    @property
    def plan(self) -> Output[PlanResult]:
        """Give the plan, where the later steps read it."""
        return Output(f"{self.folder_uri}plan/", PlanResult)

    def evaluate(self, network: str) -> Output[EvaluateResults]:
        """Give the list of a network's scores."""
        return Output(f"{self.folder_uri}evaluate/{network}/", EvaluateResults)

    @property
    def compare(self) -> Comparing:
        """Give the comparison that the decision rests on."""
        return Comparing(f"{self.folder_uri}compare/")

    @property
    def report(self) -> Report:
        """Give the report of the comparison."""
        return Report(f"{self.folder_uri}report/")

    @property
    def decide(self) -> Output[DecideResult]:
        """Give the outcome."""
        return Output(f"{self.folder_uri}decide/", DecideResult)


@dataclass(frozen=True)
class Run:
    """`runs/<run key>/`: one training, whoever asks for it."""

    folder_uri: str

    @property
    def store_uri(self) -> str:
        """Give the store that the training lies in."""
        return self.folder_uri.rpartition("/runs/")[0]

    @property
    def key(self) -> str:
        """Name the dataset, the options and everything else that makes the training."""
        return self.folder_uri.rstrip("/").rpartition("/")[2]

    @property
    def flows(self) -> Flows:
        """Give the batches of optical flow that the training waits for."""
        return Flows(f"{self.folder_uri}flows/")

    @property
    def train(self) -> Training:
        """Give the training itself."""
        return Training(f"{self.folder_uri}train/")

    def evaluations(self, key: str) -> Evaluations:
        """Find the evaluations with the options that `key` names."""
        return Evaluations(f"{self.folder_uri}evaluate/{key}/")

    def known(self, key: str) -> str:
        """Give the address of what the network sees in a sample of its training clips."""
        return f"{self.folder_uri}known/{key}.npy"

    @property
    def register(self) -> Output[RegisterResult]:
        """Give the registered version."""
        return Output(f"{self.folder_uri}register/", RegisterResult)

    @property
    def decisions(self) -> str:
        """Give the folder of all decisions on the training."""
        return f"{self.folder_uri}decisions/"

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

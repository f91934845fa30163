"""Define comparisons, reports and decisions, the champion's moves, looks at clips, and charges."""

from typing import Literal

from tasks.options import GateOptions
from tasks.store.records.evaluation import NameableClips, PairedDifference, SeedSpread
from tasks.store.records.record import Record, SplitName, later

LookKind = Literal["decision", "comparison", "trial", "curve", "versions", "history"]


class RuleOutcome(Record):
    """Outcome of one promotion rule; `detail` gives the numbers in words."""

    rule: Literal["labels", "engine", "num_clips", "num_sources", "first", "looks", "gain", "guessing", "classes"]
    title: str
    passed: bool
    detail: str


class Attempt(Record):
    """The looks at the deciding clips, and the error that this decision may spend.

    `num_networks`, this one included, is the number of networks that it may have been chosen from. A network that was seen on a part of the
    clips counts in part, and the `num_decided` that paid a charge of their own do not count. `is_spent` is False if the decision promotes
    nothing whatever the scores are. `spent` sums all charges under this model name within 365 days, this one included. `obstacle` says why
    no gain can be shown. `interval` is that of the gain at the `level`. `number` and `num_others_on_dataset` are of older versions, without
    `spent`.
    """

    number: int = later(0)
    num_others_on_dataset: int = later(0)
    num_others: int = 0
    num_decided: int = 0
    num_networks: float = 1
    charge: float = 0.025
    is_spent: bool = True
    spent: float | None = None
    yearly_error: float = 0.1
    obstacle: str = ""
    interval: tuple[float, float] | None = None

    @property
    def level(self) -> float:
        """Return the one-sided level at which the gain must show."""
        return self.charge / self.num_networks


class CompareResult(Record):
    """The new network compared with its opponent, and the gate's verdict.

    `table_uri` is the address of `comparison.txt`, in older records of `comparison.md`. The verdict is valid only against this champion (or
    none). `passed` means that every rule passed, `provisional` that the network may become the first champion without that;
    `gate.promotion` determines whether either promotes it. In older records `why` is empty, because `verdict` has the reasons. `spread` is
    there if several seeds trained the recipe. `consequence` is the sentence of `reason` that the decision replaces, none in older records.
    """

    split: SplitName
    table_uri: str
    opponent: Literal["baseline", "champion"]
    champion_version: int | None
    opponent_top1: float
    challenger_top1: float
    differences: tuple[PairedDifference, ...]
    nameable: NameableClips | None = None
    gate: GateOptions
    rules: tuple[RuleOutcome, ...]
    passed: bool
    verdict: str
    why: str = ""
    reason: str
    mlflow_run_url: str
    attempt: Attempt | None = None
    provisional: bool = False
    spread: SeedSpread | None = later(None)
    consequence: str = later("")

    @property
    def awaits_approval(self) -> bool:
        """Check whether the champion changes only after a person approves."""
        return (self.passed or self.provisional) and self.gate.promotion == "approve"


class ReportResult(Record):
    """Addresses of a report's page, numbers and model card, and its question for approval.

    `in_short` has the three figures shown with the question. If `awaits_curve`, the report was written before the learning curve ended.
    """

    report_uri: str
    metrics_uri: str
    card_uri: str
    report_url: str
    awaits_approval: bool
    approval_hours: int
    question: str
    mlflow_run_url: str
    awaits_curve: bool = False
    in_short: str = ""


class RegisterResult(Record):
    """The registered version, before the decision on it."""

    model_name: str
    version: int
    mlflow_run_id: str
    mlflow_run_url: str


class DecideResult(RegisterResult):
    """The decision on a registered version; `provisional` as in `DecisionRecord`."""

    promoted: bool
    champion_before: int | None
    champion: int | None
    aliases: tuple[str, ...]
    reason: str
    decided_by: str
    provisional: bool = False
    report_url: str = ""


class DecisionRecord(Record):
    """A line of `decisions.csv`, time in UTC; a `provisional` champion has not passed the gate.

    `charge` and `num_networks` as in `Attempt`, 0 if nothing was spent; None in older records, and of rollbacks.
    """

    time: str
    model_name: str
    version: int
    event: Literal["promoted", "kept", "rolled back"]
    champion_before: int | None
    champion_after: int | None
    promotion: Literal["auto", "approve", "never", "by hand"]
    decided_by: str
    reason: str
    run_key: str
    mlflow_run_url: str
    provisional: bool = False
    charge: float | None = None
    num_networks: float | None = None


class ChampionMove(Record):
    """`champions/<model>/<number>.json`: a move of the alias `champion`, by the decision with `key`.

    Only one run can write the next number, so no two runs promote at the same time.
    """

    number: int
    decision: DecisionRecord
    key: str


class RollbackResult(Record):
    """The version that a rollback moved the alias `champion` to, and the previous one."""

    model_name: str
    version: int
    champion_before: int | None
    reason: str


class SeenClips(Record):
    """A set of clips that networks were scored on, stored once for all looks."""

    uids: tuple[str, ...]


class Look(Record):
    """One scoring of networks on a set of clips, which is written once.

    `networks` are the runs that somebody could choose among. A learning curve names none: its networks are trained on a part of the clips
    and never promoted. A history scores versions that were decided on before; they count only for a further decision on one of them.
    `made_by` is the address of the plan, search or comparison. `split` is "unseen" for videos that no network saw.
    """

    time: str
    kind: LookKind
    made_by: str
    model_name: str
    split: SplitName | Literal["unseen"]
    networks: tuple[str, ...]
    num_networks: int


class Charge(Record):
    """`charges/<model>/<number>.json`: the error that the decision at the address `key` spent.

    Only one decision can write the next number, so the later of two that end together sees the earlier. `repeats` are the runs of the
    recipe's further seeds.
    """

    time: str
    key: str
    run_key: str
    attempt: Attempt
    repeats: tuple[str, ...] = later(())

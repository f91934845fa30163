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
    clips counts in part, and the `num_decided` that paid a charge of their own do not count. `charge` divided by `num_networks` is the
    level. `is_spent` is False if the decision promotes nothing whatever the scores are. `spent` is the sum of all charges under this model
    name within 365 days, this one included. `obstacle` says why no gain can be shown. `interval` is that of the gain at this level.
    `number` and `num_others_on_dataset` are of older versions, which have no `spent`.
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

    `table_uri` is the address of `comparison.txt`, in records of older versions of `comparison.md`. The verdict is valid only against this
    champion (or none). `passed` means that every rule passed, `provisional` that the network may become the first champion without that;
    `gate.promotion` determines whether either promotes the network. `attempt` is None in records of older versions, and `why` is empty,
    because their `verdict` has the reasons. `spread` is there if several seeds trained the recipe.
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

    @property
    def awaits_approval(self) -> bool:
        """Check whether the champion changes only after a person approves."""
        return (self.passed or self.provisional) and self.gate.promotion == "approve"


class ReportResult(Record):
    """Addresses of a report's page, numbers and model card, and its question for approval.

    `in_short` has the three figures shown with the question. `awaits_curve`: the learning curve had not ended when it was written.
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
    """The decision on a registered version.

    `provisional` is as in `DecisionRecord`, and `report_url` is empty in records of older versions.
    """

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

    `charge` and `num_networks` as in `Attempt`, 0 if nothing was spent; None in records of older versions, and of rollbacks.
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
    """One move of the alias `champion`, stored as `champions/<model>/<number>.json`.

    Only one run can write the next number, so no two runs promote at the same time. `key` identifies the decision behind the move.
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
    """A set of clips that networks were scored on, sorted by uid.

    It is stored once for all looks at it.
    """

    uids: tuple[str, ...]


class Look(Record):
    """One scoring of networks on a set of clips, which is written once.

    `networks` are the runs that somebody could choose among. The networks of a learning curve are trained on a part of the clips and never
    promoted, so it names none. A history scores versions that were decided on before; they count only for a further decision on one of them. `made_by` is the address of the plan, search or comparison. `split` is "unseen" for films that no network saw.
    """

    time: str
    kind: LookKind
    made_by: str
    model_name: str
    split: SplitName | Literal["unseen"]
    networks: tuple[str, ...]
    num_networks: int


class Charge(Record):
    """The error that a decision spent, stored as `charges/<model>/<number>.json`.

    Only one decision can write the next number, so the later of two that end together sees the earlier. `key` is the address of the decision.
    `repeats` are the runs of the recipe's further seeds, which were decided with it.
    """

    time: str
    key: str
    run_key: str
    attempt: Attempt
    repeats: tuple[str, ...] = later(())

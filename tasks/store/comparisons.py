"""Lay out the store's comparisons of networks; `layout` has the rest."""

from dataclasses import dataclass

from tasks.store.records.comparison import Comparison, ConfigureResult, TabulateResult
from tasks.store.records.inputs import SoundResult
from tasks.store.records.training import PlanResult, WeightsResult
from tasks.store.runs import Flows
from tasks.store.stored import Below, Output, file, output, record


@dataclass(frozen=True)
class Configured:
    """`comparisons/<key>/<digest>/<options>/`: the weights and the plan of one configuration."""

    folder_uri: str

    weights = output("weights/", WeightsResult)
    plan = output("plan/", PlanResult)


@dataclass(frozen=True)
class Claims:
    """`comparisons/<key>/<digest>/claims/`: the one configuration of each training."""

    folder_uri: str

    def of(self, run_key: str) -> str:
        """Return the address of the name of the configuration that has this training."""
        return f"{self.folder_uri}{run_key}"


@dataclass(frozen=True)
class Configurations(Output[ConfigureResult]):
    """`comparisons/<key>/<digest>/`: the configurations of a form on one dataset."""

    model: type[ConfigureResult] = ConfigureResult

    claims = Below("claims/", Claims)
    flows = Below("flows/", Flows)
    sound = output("sound/", SoundResult)
    table = output("table/", TabulateResult)
    """The result of `tabulate`, which says where the table lies."""

    def network(self, key: str) -> Configured:
        """Find a configuration by the key of its options."""
        return Configured(f"{self.place_uri}{key}/")


@dataclass(frozen=True)
class ComparisonTable(Output[TabulateResult]):
    """`comparisons/<digest>/tables/<key>/`: the page and the table of several networks."""

    model: type[TabulateResult] = TabulateResult

    page = file("report.html")
    csv = file("networks.csv")
    numbers = record("networks.json", Comparison)
    schema = file("networks.schema.json")


@dataclass(frozen=True)
class AskedComparison(Output[ConfigureResult]):
    """`comparisons/<key>/`: the configurations of a form, as they were last read."""

    model: type[ConfigureResult] = ConfigureResult

    def on(self, digest: str) -> Configurations:
        """Find the configurations of the form on one dataset."""
        return Configurations(f"{self.place_uri}{digest}/")

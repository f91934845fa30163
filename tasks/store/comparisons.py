"""Where comparisons of networks lie; `layout` has the rest of the store."""

from dataclasses import dataclass

from tasks.results.comparison import Comparison, ConfigureResult, TabulateResult
from tasks.results.training import PlanResult, WeightsResult
from tasks.store.runs import Flows
from tasks.store.stored import Output, Stored


@dataclass(frozen=True)
class Configured:
    """`comparisons/<key>/<digest>/<options>/`: the weights and the plan of one configuration."""

    folder_uri: str

    @property
    def weights(self) -> Output[WeightsResult]:
        """Give the weights that the configuration starts from."""
        return Output(f"{self.folder_uri}weights/", WeightsResult)

    @property
    def plan(self) -> Output[PlanResult]:
        """Give the plan of the configuration."""
        return Output(f"{self.folder_uri}plan/", PlanResult)


@dataclass(frozen=True)
class Claims:
    """`comparisons/<key>/<digest>/claims/`: the one configuration of each training."""

    folder_uri: str

    def of(self, run_key: str) -> str:
        """Give the address of the name of the configuration that has this training."""
        return f"{self.folder_uri}{run_key}"


@dataclass(frozen=True)
class Configurations(Output[ConfigureResult]):
    """`comparisons/<key>/<digest>/`: the configurations of a form on one dataset."""

    model: type[ConfigureResult] = ConfigureResult

    def network(self, key: str) -> Configured:
        """Find a configuration by the key of its options."""
        return Configured(f"{self.place_uri}{key}/")

    @property
    def claims(self) -> Claims:
        """Give the trainings that configurations have begun."""
        return Claims(f"{self.place_uri}claims/")

    @property
    def flows(self) -> Flows:
        """Give the batches of optical flow that the trainings wait for."""
        return Flows(f"{self.place_uri}flows/")

    @property
    def table(self) -> Output[TabulateResult]:
        """Give the result of `tabulate`, which says where the table lies."""
        return Output(f"{self.place_uri}table/", TabulateResult)


@dataclass(frozen=True)
class ComparisonTable(Output[TabulateResult]):
    """`comparisons/<digest>/tables/<key>/`: the page and the table of several networks."""

    model: type[TabulateResult] = TabulateResult

    @property
    def page(self) -> str:
        """Give the address of the page."""
        return self.file("report.html")

    @property
    def csv(self) -> str:
        """Give the address of the table."""
        return self.file("networks.csv")

    @property
    def numbers(self) -> Stored[Comparison]:
        """Give all numbers of the comparison."""
        return Stored(self.file("networks.json"), Comparison)

    @property
    def schema(self) -> str:
        """Give the address of the JSON schema of the numbers."""
        return self.file("networks.schema.json")


@dataclass(frozen=True)
class AskedComparison(Output[ConfigureResult]):
    """`comparisons/<key>/`: the configurations of a form, as they were last read."""

    model: type[ConfigureResult] = ConfigureResult

    def on(self, digest: str) -> Configurations:
        """Find the configurations of the form on one dataset."""
        return Configurations(f"{self.place_uri}{digest}/")

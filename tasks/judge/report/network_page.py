"""Render the comparison of networks: accuracy with intervals, differences to the first configuration, and costs."""

from dataclasses import dataclass, replace
from functools import partial

from tasks.judge.report.confusion_tables import matrix_groups
from tasks.judge.report.figures.costs import cost_chart
from tasks.judge.report.formats import leaning
from tasks.judge.report.machine import machine_rows
from tasks.judge.report.network_table import corrected_p_values, difference_of, verdict
from tasks.judge.report.nothing_scores import LEGEND, TITLES, nothing_caption, nothing_rows
from tasks.judge.report.page import clip_in_words, settings_of
from tasks.judge.report.page_scores import DifferenceRow, difference_row, majority_warning
from tasks.judge.report.templating import rendered
from tasks.judge.statistics.majority import always_predicting, majority_scores
from tasks.judge.statistics.multiplicity import LEVEL
from tasks.options import Modality
from tasks.store.records.comparison import ComparedNetwork, Comparison
from tasks.store.records.record import ModelRole, Target

FLOW_COST = (
    "Neither includes optical flow, which is computed once per clip: for 8 seconds of video TV-L1 takes minutes of one core, DIS seconds."
)

VERSIONS: tuple[ModelRole, ...] = ("previous", "fine-tuned")
"""How the confusion matrices of two versions call them, in their order."""

NUM_OPEN = 20
"""Clips with different answers that are listed before the page folds them."""


@dataclass(frozen=True)
class NetworkRow:
    """One network in the tables; `number` marks it in the charts, `corrected` holds Holm-corrected p-values."""

    number: int
    network: ComparedNetwork
    is_reference: bool
    warning: str
    differences: dict[Target, DifferenceRow]
    corrected: dict[Target, float]


def networks_page(comparison: Comparison) -> str:
    """Render the page as HTML. Names are escaped."""
    first = comparison.networks[0]
    return rendered(
        "networks.html.j2",
        c=comparison,
        rows=_rows(comparison),
        verdict=verdict(comparison),
        leaning="" if comparison.split == "unseen" else leaning(comparison.split),
        majority_label=always_predicting(first.action.majority_class),
        majority=majority_scores(first.action),
        charts=[chart for in_flops in (False, True) if (chart := cost_chart(comparison, in_flops=in_flops))],
        flow_cost=_flow_cost(comparison),
        machines=_machines(comparison),
        settings=settings_of(comparison.evaluate),
        train_settings=settings_of(comparison.train),
        targets=comparison.targets,
        nothing_rows=nothing_rows((network.name, network.nothing) for network in comparison.networks),
        nothing_caption=nothing_caption(network.nothing for network in comparison.networks),
        nothing_titles=TITLES,
        nothing_legend=LEGEND,
        num_differences=sum(bool(network.differences) for network in comparison.networks),
        matrix_groups=matrix_groups(comparison.confusions, VERSIONS),
        labels=dict(zip(VERSIONS, (network.name for network in comparison.networks), strict=False)),
        opponent=VERSIONS[0],
        clip_of=partial(clip_in_words, {clip.uid: clip for clip in comparison.clips}, comparison.airflow_run, comparison.dataset_uri),
        num_open=NUM_OPEN,
    )


def networks_note(comparison: Comparison) -> str:
    """Render the table as Markdown, with a link to each network's run."""
    return rendered(
        "networks.md.j2",
        c=comparison,
        rows=_rows(comparison),
        verdict=verdict(comparison),
        flow_cost=_flow_cost(comparison),
        nothing_rows=nothing_rows((network.name, network.nothing) for network in comparison.networks),
        nothing_caption=nothing_caption(network.nothing for network in comparison.networks),
        nothing_titles=TITLES,
        nothing_legend=LEGEND,
        num_differences=sum(bool(network.differences) for network in comparison.networks),
    )


def _flow_cost(comparison: Comparison) -> str:
    """Note that latency and FLOPs exclude optical flow; empty if no network uses it."""
    return FLOW_COST if any(Modality.FLOW in network.inputs for network in comparison.networks) else ""


def _rows(comparison: Comparison) -> list[NetworkRow]:
    corrected = {target: corrected_p_values(comparison, target) for target in comparison.targets}
    return [
        NetworkRow(
            number=number,
            network=network,
            is_reference=network.name == comparison.reference,
            warning=majority_warning(network.action),
            differences={
                target: _among_others(difference_row(found), corrected[target][network.name])
                for target in comparison.targets
                if (found := difference_of(network, target))
            },
            corrected={target: of_network[network.name] for target, of_network in corrected.items() if network.name in of_network},
        )
        for number, network in enumerate(comparison.networks, 1)
    ]


def _among_others(row: DifferenceRow, corrected_p: float) -> DifferenceRow:
    """Mark a difference as insignificant if it does not survive Holm's correction."""
    if corrected_p <= LEVEL or not row.excludes_zero:
        return row
    return replace(row, excludes_zero=False, remark="significant alone, not after Holm's correction")


def _machines(comparison: Comparison) -> list[tuple[str, list[tuple[str, str]]]]:
    """List each machine once, under the networks that it scored."""
    found: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for number, network in enumerate(comparison.networks, 1):
        found.setdefault(tuple(machine_rows(network.hardware)), []).append(str(number))
    if len(found) == 1:
        return [("Scored on", list(next(iter(found))))]
    return [(f"{', '.join(numbers)} scored on", list(rows)) for rows, numbers in found.items()]

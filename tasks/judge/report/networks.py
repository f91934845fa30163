"""Report a comparison of networks as a page, a note and a CSV table.

The first network is the reference of significant differences.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tasks.errors import BadInput
from tasks.judge.gate.verdict import always_predicting, majority_warning
from tasks.judge.report import style
from tasks.judge.report.class_tables import matrix_groups
from tasks.judge.report.run import clip_in_words, settings_of
from tasks.judge.report.scores import NOTHING_LEGEND, DifferenceRow, difference_row, majority_scores, nothing_table
from tasks.judge.report.style import Chart
from tasks.judge.report.templating import leaning, machine_rows, rendered, styles_of
from tasks.judge.statistics.uncertainty import FAMILY_LEVEL, holm
from tasks.options import Modality
from tasks.store.records.comparison import ComparedNetwork, Comparison
from tasks.store.records.evaluation import PairedDifference
from tasks.store.records.record import ModelRole, Target
from tasks.wording import count, csv_table, duration, listed, percent, percent_interval, plain_cell, quantity

FLOW_COST = (
    "Neither includes optical flow, which is computed once per clip: for 8 seconds of video TV-L1 takes minutes of one core, DIS seconds."
)

VERSIONS: tuple[ModelRole, ...] = ("previous", "fine-tuned")
"""How the confusion matrices of two versions call them, in their order."""
COST_SIZE = (420, 300)


@dataclass(frozen=True)
class NetworkRow:
    """One network in the tables; `number` marks it in the charts, `corrected` holds Holm-corrected p-values."""

    number: int
    network: ComparedNetwork
    is_reference: bool
    warning: str
    differences: dict[Target, DifferenceRow]
    corrected: dict[Target, float]


def networks_page(comparison: Comparison, thumbnails: Mapping[str, bytes] | None = None) -> str:
    """Render the page as HTML; `thumbnails` are small JPEGs of named clips by uid."""
    first, pictures = comparison.networks[0], thumbnails or {}
    named, styles = {clip.uid: clip for clip in comparison.clips}, styles_of(pictures)
    return rendered(
        "networks.html.j2",
        **_shared(comparison),
        leaning=""
        if comparison.split == "unseen"
        else leaning(comparison.split, chose_epoch=any(network.num_epochs > 1 for network in comparison.networks)),
        majority_label=always_predicting(first.action.majority_class),
        majority=majority_scores(first.action),
        charts=[chart for in_flops in (False, True) if (chart := cost_chart(comparison, in_flops=in_flops))],
        machines=_machines(comparison),
        settings=settings_of(comparison.evaluate),
        train_settings=settings_of(comparison.train),
        targets=comparison.targets,
        matrix_groups=matrix_groups(comparison.confusions, VERSIONS),
        labels=dict(zip(VERSIONS, (network.name for network in comparison.networks), strict=False)),
        opponent=VERSIONS[0],
        clip_of=lambda uid: (*clip_in_words(named, comparison.airflow_run, comparison.dataset_uri, uid), "", styles.get(uid, "")),
        thumbnails=pictures,
        num_open=20,  # clips with different answers before the page folds them
    )


def networks_note(comparison: Comparison) -> str:
    """Render the table as Markdown, with a link to each network's run."""
    return rendered("networks.md.j2", **_shared(comparison))


def _shared(comparison: Comparison) -> dict[str, object]:
    """Collect what page and note show."""
    return {
        "c": comparison,
        "rows": _rows(comparison),
        "verdict": verdict(comparison),
        "flow_cost": FLOW_COST if any(Modality.FLOW in network.inputs for network in comparison.networks) else "",
        "nothing": nothing_table((network.name, network.nothing) for network in comparison.networks),
        "nothing_legend": NOTHING_LEGEND,
        "num_differences": sum(bool(network.differences) for network in comparison.networks),
    }


def _rows(comparison: Comparison) -> list[NetworkRow]:
    corrected = {target: corrected_p_values(comparison, target) for target in comparison.targets}
    return [
        NetworkRow(
            number=number,
            network=network,
            is_reference=network.name == comparison.reference,
            warning=majority_warning(network.action),
            differences={
                target: _among_others(difference_row(difference), corrected[target][network.name])
                for target in comparison.targets
                if (difference := difference_of(network, target))
            },
            corrected={target: of_network[network.name] for target, of_network in corrected.items() if network.name in of_network},
        )
        for number, network in enumerate(comparison.networks, 1)
    ]


def _among_others(row: DifferenceRow, corrected_p: float) -> DifferenceRow:
    """Mark a difference as insignificant if it does not survive Holm's correction."""
    if corrected_p <= FAMILY_LEVEL or not row.excludes_zero:
        return row
    return replace(row, excludes_zero=False, remark="significant alone, not after Holm's correction")


def _machines(comparison: Comparison) -> list[tuple[str, list[tuple[str, str]]]]:
    """List each machine once, under the networks that it scored."""
    by_machine: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for number, network in enumerate(comparison.networks, 1):
        by_machine.setdefault(tuple(machine_rows(network.hardware)), []).append(str(number))
    if len(by_machine) == 1:
        return [("Scored on", list(next(iter(by_machine))))]
    return [(f"{', '.join(numbers)} scored on", list(rows)) for rows, numbers in by_machine.items()]


def cost_chart(comparison: Comparison, *, in_flops: bool) -> Chart | None:
    """Draw numbered top-1 scores with intervals over cost per clip; None without costs."""
    title = "Accuracy over FLOPs" if in_flops else "Accuracy over latency"
    shown = [(i, n.name, n.action, *known) for i, n in enumerate(comparison.networks, 1) if (known := _cost(n, in_flops=in_flops))]
    if not shown:
        return None
    spoken = [f"{i}, {name}: {percent(a.top1)} {percent_interval(a.top1_interval)}, {words}" for i, name, a, _, words in shown]
    x, y = [cost for *_, cost, _ in shown], [action.top1 for _, _, action, *_ in shown]
    majority, target = comparison.networks[0].action.majority_top1, comparison.targets[-1]
    with style.axes_of(COST_SIZE) as (figure, axes):
        style.add_majority(axes, majority)
        for number, _, action, cost, _ in shown:
            axes.plot([cost, cost], action.top1_interval, color=style.GREY, linewidth=1.6, clip_on=False)
            axes.annotate(str(number), (cost, action.top1), (6, 5), textcoords="offset points", color=style.INK, fontweight="bold")
        axes.scatter(x, y, 48, color=style.BLUE, edgecolors=style.PAGE, linewidths=1, zorder=3, clip_on=False, gid="networks")
        style.leave_room(axes, x)
        axes.set(ylim=(0, 1), xlabel="billion FLOPs per clip" if in_flops else "seconds per clip, median", ylabel=f"{target} top-1, %")
        axes.yaxis.set_major_formatter(style.PERCENT)
        axes.grid(axis="y", clip_on=False)
        words = (
            f"{'; '.join(spoken)}. Bars are 95 % confidence intervals; the dashed line is always predicting the most frequent {target}: "
            f"{percent(majority)}."
        )
        key = "networks-flops" if in_flops else "networks-latency"
        return style.chart(figure, COST_SIZE[0] + 60, key, title, words, {"networks": spoken})


def _cost(network: ComparedNetwork, *, in_flops: bool) -> tuple[float, str] | None:
    """Compute the cost per clip, as axis value and as text; None if unknown."""
    if not in_flops:
        return network.latency.inference_median_seconds, duration(network.latency.inference_median_seconds)
    return None if network.num_flops is None else (network.num_flops / 1e9, f"{quantity(network.num_flops)} FLOPs")


def difference_of(network: ComparedNetwork, target: Target) -> PairedDifference | None:
    """Find a network's difference to the reference.

    None for the reference, or if the reference failed.
    """
    return next((difference for difference in network.differences if difference.target == target), None)


def corrected_p_values(comparison: Comparison, target: Target) -> dict[str, float]:
    """Correct the p-values of all differences to the reference by Holm's method; by network name.

    Raises:
        BadInput: a difference has no p-value, as in results of older versions.
    """
    differences = {network.name: difference for network in comparison.networks if (difference := difference_of(network, target))}
    p_values = [difference.p_value for difference in differences.values() if difference.p_value is not None]
    if len(p_values) < len(differences):
        raise BadInput("the comparison was made by an older version and has no p-values; run compare_networks again")
    return dict(zip(differences, holm(p_values), strict=True))


def verdict(comparison: Comparison) -> str:
    """Summarise which networks differ significantly from the reference, and whether their engines differ."""
    sample = f"{count(comparison.num_clips, 'clip')} of {count(comparison.num_sources, 'source video')} ({comparison.split})"
    decisive = comparison.targets[-1]
    most = max(network.action.top1 for network in comparison.networks)
    best = [network.name for network in comparison.networks if network.action.top1 == most]
    parts = [f"On {sample}, {_best(best, len(comparison.networks), decisive)} {percent(most)}."]
    if comparison.reference is None:
        parts.append("The first configuration failed, so no differences were computed.")
    p_values = corrected_p_values(comparison, decisive)
    rivals = [
        (network.name, difference, p_values[network.name])
        for network in comparison.networks
        if (difference := difference_of(network, decisive))
    ]
    for names, words in (
        ([name for name, difference, p in rivals if p <= FAMILY_LEVEL and difference.difference > 0], "significantly better than"),
        ([name for name, difference, p in rivals if p <= FAMILY_LEVEL and difference.difference < 0], "significantly worse than"),
        ([name for name, _, p in rivals if p > FAMILY_LEVEL], "not significantly different from"),
    ):
        if names:
            parts.append(f"{listed(names)} {'is' if len(names) == 1 else 'are'} {words} {comparison.reference}.")
    if len(rivals) > 1:
        parts.append(f"Corrected for {len(rivals)} comparisons (Holm).")
    first = comparison.networks[0]
    otherwise: dict[str, list[str]] = {}
    for network in comparison.networks:
        if network.engine.label != first.engine.label and network.engine.has_backbone and first.engine.has_backbone:
            otherwise.setdefault(network.engine.label, []).append(network.name)
    if otherwise:
        engines = [f"{listed(names)} by {label}" for label, names in otherwise.items()]
        parts.append(
            f"The engines differ, so part of a difference may come from them: {first.name} by {first.engine.label}, {listed(engines)}."
        )
    if comparison.failed:
        parts.append(f"{listed([failed.name for failed in comparison.failed])} failed.")
    return " ".join(parts)


def _best(names: list[str], num_networks: int, target: Target) -> str:
    if num_networks == 1:
        return f"{names[0]}, the only network with a result, has {target} top-1"
    if len(names) == num_networks:
        return f"all networks have the same {target} top-1,"
    return f"{listed(names)} {'has' if len(names) == 1 else 'have'} the highest {target} top-1,"


def table(comparison: Comparison) -> bytes:
    """Write a CSV, one row per configuration, accuracies as shares.

    A failed one has only its step and reason.
    """
    rows = [_csv_row(name, network, comparison) for network in comparison.networks for name in (network.name, *network.others)]
    columns = (*rows[0], "failed_in", "failed_because")
    rows += [{"configuration": failed.name, "failed_in": failed.step, "failed_because": failed.reason} for failed in comparison.failed]
    return csv_table(columns, ({name: plain_cell(value) for name, value in row.items()} for row in rows))


def metrics_of(comparison: Comparison) -> dict[str, float]:
    """Collect each network's numbers under its run key, to log to MLflow."""
    measured = ("num_parameters", "num_flops", "peak_memory_bytes")
    numbers = {
        f"{network.run_key}/{name}": value
        for network in comparison.networks
        for name, value in (
            *((f"{target}_top1", getattr(network, target).top1) for target in comparison.targets),
            *((name, getattr(network, name)) for name in measured),
            ("inference_median_seconds", network.latency.inference_median_seconds),
        )
    }
    return {name: value for name, value in numbers.items() if value is not None}


def _csv_row(name: str, network: ComparedNetwork, comparison: Comparison) -> dict[str, object]:
    accuracies: dict[str, object] = {}
    differences: dict[str, object] = {}
    for target in comparison.targets:
        score, ends = getattr(network, target), ("", "_low", "_high")
        accuracies |= zip((f"{target}_top1{end}" for end in ends), (score.top1, *score.top1_interval), strict=True)
        difference = difference_of(network, target)
        values = (
            (difference.difference, *difference.interval, corrected_p_values(comparison, target)[network.name]) if difference else ("",) * 4
        )
        differences |= zip((*(f"{target}_difference{end}" for end in ends), f"{target}_corrected_p"), values, strict=True)
    return {
        "configuration": name,
        "network": network.network,
        "family": network.family,
        "backbone": network.backbone,
        "input": " + ".join(network.inputs),
        "segments": "" if network.num_segments is None else network.num_segments,
        **accuracies,
        **differences,
        "parameters": network.num_parameters,
        "flops_per_clip": network.num_flops,
        "seconds_per_clip": network.latency.inference_median_seconds,
        "peak_memory_bytes": network.peak_memory_bytes,
        "crops": comparison.evaluate.crops,
        "engine": network.engine.label,
        "epochs": network.num_epochs,
        "training_seconds": network.training_seconds,
        "run_key": network.run_key,
    }

"""Compare networks on the same clips, and write a CSV table.

The first network is the reference of significant differences.
"""

from tasks.csv_table import csv_table
from tasks.errors import BadInput
from tasks.judge.statistics.multiplicity import LEVEL, holm
from tasks.store.records.comparison import ComparedNetwork, Comparison
from tasks.store.records.evaluation import PairedDifference
from tasks.store.records.record import Target
from tasks.wording import count, listed, percent, plain_cell

FIRST_COLUMNS = ("configuration", "network", "family", "backbone", "input", "segments")
LAST_COLUMNS = (
    "parameters",
    "flops_per_clip",
    "seconds_per_clip",
    "peak_memory_bytes",
    "crops",
    "engine",
    "epochs",
    "training_seconds",
    "run_key",
    "failed_in",
    "failed_because",
)


def difference_of(network: ComparedNetwork, target: Target) -> PairedDifference | None:
    """Find its difference to the reference.

    None for the reference itself, or if the reference failed.
    """
    return next((one for one in network.differences if one.target == target), None)


def corrected_p_values(comparison: Comparison, target: Target) -> dict[str, float]:
    """Correct the p-values of all differences to the reference by Holm's method; by network name.

    Raises:
        BadInput: a difference has no p-value, as in results of older versions.
    """
    found = {one.name: difference for one in comparison.networks if (difference := difference_of(one, target))}
    p_values = [difference.p_value for difference in found.values() if difference.p_value is not None]
    if len(p_values) < len(found):
        raise BadInput("the comparison was made by an older version and has no p-values; run compare_networks again")
    return dict(zip(found, holm(p_values), strict=True))


def verdict(comparison: Comparison) -> str:
    """Summarise which networks differ significantly from the reference, and whether their engines differ.

    Plain text, about actions, or about verbs if no label has an object.
    """
    sample = f"{count(comparison.num_clips, 'clip')} of {count(comparison.num_sources, 'source video')} ({comparison.split})"
    decisive = comparison.targets[-1]
    most = max(one.action.top1 for one in comparison.networks)
    best = [one.name for one in comparison.networks if one.action.top1 == most]
    parts = [f"On {sample}, {_best(best, len(comparison.networks), decisive)} {percent(most)}."]
    if comparison.reference is None:
        parts.append("The first configuration failed, so no differences were computed.")
    p_values = corrected_p_values(comparison, decisive)
    rivals = [(one.name, found, p_values[one.name]) for one in comparison.networks if (found := difference_of(one, decisive))]
    for names, words in (
        ([name for name, found, p in rivals if p <= LEVEL and found.difference > 0], "significantly better than"),
        ([name for name, found, p in rivals if p <= LEVEL and found.difference < 0], "significantly worse than"),
        ([name for name, _, p in rivals if p > LEVEL], "not significantly different from"),
    ):
        if names:
            parts.append(f"{listed(names)} {'is' if len(names) == 1 else 'are'} {words} {comparison.reference}.")
    if len(rivals) > 1:
        parts.append(f"Corrected for {len(rivals)} comparisons (Holm).")
    first = comparison.networks[0]
    otherwise: dict[str, list[str]] = {}
    for one in comparison.networks:
        if one.engine.label != first.engine.label and one.engine.has_backbone and first.engine.has_backbone:
            otherwise.setdefault(one.engine.label, []).append(one.name)
    if otherwise:
        engines = [f"{listed(names)} by {label}" for label, names in otherwise.items()]
        parts.append(
            f"The engines differ, so part of a difference may come from them: {first.name} by {first.engine.label}, {listed(engines)}."
        )
    if comparison.failed:
        parts.append(f"{listed([one.name for one in comparison.failed])} failed.")
    return " ".join(parts)


def _best(names: list[str], num_networks: int, target: Target) -> str:
    if num_networks == 1:
        return f"{names[0]}, the only network with a result, has {target} top-1"
    if len(names) == num_networks:
        return f"all networks have the same {target} top-1,"
    return f"{listed(names)} {'has' if len(names) == 1 else 'have'} the highest {target} top-1,"


def table(comparison: Comparison) -> bytes:
    """Write a CSV with one row per configuration.

    Accuracies are shares, and a failed one has only its name and reason.
    """
    measured = (("top1", "top1_low", "top1_high"), ("difference", "difference_low", "difference_high", "corrected_p"))
    scores = [f"{target}_{name}" for names in measured for target in comparison.targets for name in names]
    rows = [_row(name, network, comparison) for network in comparison.networks for name in (network.name, *network.others)]
    rows += [{"configuration": one.name, "failed_in": one.step, "failed_because": one.reason} for one in comparison.failed]
    cells = ({name: plain_cell(value) for name, value in row.items()} for row in rows)
    return csv_table((*FIRST_COLUMNS, *scores, *LAST_COLUMNS), cells)


def metrics_of(comparison: Comparison) -> dict[str, float]:
    """Collect each network's numbers under its run key, to log to MLflow."""
    measured = ("num_parameters", "num_flops", "peak_memory_bytes")
    found = {
        f"{network.run_key}/{name}": value
        for network in comparison.networks
        for name, value in (
            *((f"{target}_top1", getattr(network, target).top1) for target in comparison.targets),
            *((name, getattr(network, name)) for name in measured),
            ("inference_median_seconds", network.latency.inference_median_seconds),
        )
    }
    return {name: value for name, value in found.items() if value is not None}


def _row(name: str, network: ComparedNetwork, comparison: Comparison) -> dict[str, object]:
    scores = {target: getattr(network, target) for target in comparison.targets}
    accuracies = {
        f"{target}_top1{end}": value
        for target, score in scores.items()
        for end, value in zip(("", "_low", "_high"), (score.top1, *score.top1_interval), strict=True)
    }
    differences = {
        f"{found.target}_difference{end}": value
        for found in network.differences
        for end, value in zip(("", "_low", "_high"), (found.difference, *found.interval), strict=True)
    }
    corrected = {f"{one.target}_corrected_p": corrected_p_values(comparison, one.target)[network.name] for one in network.differences}
    return {
        "configuration": name,
        "network": network.network,
        "family": network.family,
        "backbone": network.backbone,
        "input": " + ".join(network.inputs),
        "segments": "" if network.num_segments is None else network.num_segments,
        **accuracies,
        **differences,
        **corrected,
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

"""A made-up comparison of networks."""

from functools import cache

from tasks.options import Modality
from tasks.store.records.comparison import ComparedNetwork, Comparison, DifferingClip, FailedConfiguration
from tests.judge.report.named import drawn
from tests.judge.report.runs import MACHINE, difference, metrics_of, result, uid_of
from tests.records import some

NAMES = ("family=TSN", "family=TRN learning_rate=0.001", "family=TSM backbone=tf_efficientnet_lite0 modality=rgb-difference")


def compared(number, named, *, has_reference=True, name=None, others=()):
    scored = result(named, ("baseline", "champion", "fine-tuned")[number], "val")
    family = ("TSN", "TRN", "TSM")[number]
    latency = scored.latency.model_copy(update={"inference_median_seconds": (1.534, 1.71, 0.302)[number]})
    differences = [difference(named, target, "champion").model_copy(update={"opponent": "reference"}) for target in named.targets]
    scores = ("verb", "noun", "action", "loss", "engine")
    return some(
        ComparedNetwork,
        name=name or NAMES[number],
        others=others,
        network=f"{family} resnet50 rgb, 8 segments",
        family=family,
        backbone=("resnet50", "resnet50", "tf_efficientnet_lite0")[number],
        modality=(Modality.RGB, Modality.RGB, Modality.RGB_DIFFERENCE)[number],
        num_segments=8,
        run_key=f"{number}f00",
        mlflow_run_url=f"http://127.0.0.1:5000/#/experiments/1/runs/{number}",
        **{name: getattr(scored, name) for name in scores},
        num_parameters=(24_485_405, 27_100_000, 3_990_000)[number],
        num_flops=(655_402_000_000, 657_900_000_000, 47_100_000_000)[number],
        latency=latency,
        hardware=MACHINE,
        trained_on=MACHINE,
        differences=tuple(differences) if number and has_reference else (),
    )


@cache
def comparison_of(named=None, *, num_networks=3, failed=(), has_reference=True, name=None, others=()):
    named = named or drawn()
    return some(
        Comparison,
        split="val",
        num_clips=len(named.true),
        num_sources=named.num_sources,
        targets=named.targets,
        reference=(name or NAMES[0]) if has_reference else None,
        networks=tuple(
            compared(number, named, has_reference=has_reference, name=name if number == 0 else None, others=others if number == 0 else ())
            for number in range(num_networks)
        ),
        failed=tuple(
            FailedConfiguration(name=failed_name, step="train", reason=f"BadVideo: {failed_name}: no frames") for failed_name in failed
        ),
    )


@cache
def versions_of(named=None, *, name=None):
    """Two versions on clips that neither was trained on."""
    named = named or drawn()
    scored, roles = metrics_of(named), {"baseline": "previous", "champion": "fine-tuned"}
    answers = zip(*(named.of(named.targets[-1], role) for role in (None, *roles)), strict=True)
    shown = {
        "split": "unseen",
        "selection": "Of the 480 labelled clips of the dataset, 80 are of videos that trained one of the two networks.",
        "caution": name or "9 clips are few.",
        "confusions": tuple(
            confusion.model_copy(update={"model": roles[confusion.model]}) for confusion in scored.confusions if confusion.model in roles
        ),
        "differing": tuple(
            DifferingClip(uid=uid_of(i), label=label, first=first, second=second)
            for i, (label, first, second) in enumerate(answers)
            if first != second
        ),
        "clips": scored.clips,
        "airflow_run": scored.provenance.airflow_run,
    }
    return comparison_of(named, num_networks=2, name=name).model_copy(update=shown)

import re

import pytest

from tasks.errors import BadInput
from tasks.judge.report.networks import metrics_of, networks_note, networks_page, table, verdict
from tasks.options import Modality
from tasks.store.records.comparison import Comparison
from tasks.store.records.record import TARGETS
from tests.judge.report.compared import NAMES, comparison_of
from tests.judge.report.conftest import COMPARISONS
from tests.judge.report.named import HOSTILE_NAMES
from tests.judge.report.tree import csv_rows, words_of


def with_network(comparison, number, **changes):
    networks = list(comparison.networks)
    networks[number] = networks[number].model_copy(update=changes)
    return comparison.model_copy(update={"networks": tuple(networks)})


def with_difference(comparison, number, low, value, high, p_value=None):
    if p_value is None:
        p_value = 0.5 if low <= 0 <= high else 0.001
    update = {"difference": value, "interval": (low, high), "p_value": p_value}
    moved = [d.model_copy(update=update) for d in comparison.networks[number].differences]
    return with_network(comparison, number, differences=tuple(moved))


def test_the_verdict_says_which_differences_are_clear_and_which_are_not():
    comparison = with_difference(with_difference(comparison_of(), 1, 0.02, 0.1, 0.2), 2, -0.2, -0.05, 0.1)
    assert f"{NAMES[1]} is significantly better than {NAMES[0]}." in verdict(comparison)
    assert f"{NAMES[2]} is not significantly different from {NAMES[0]}." in verdict(comparison)
    worse = with_difference(comparison, 2, -0.2, -0.05, -0.01)
    assert f"{NAMES[2]} is significantly worse than {NAMES[0]}." in verdict(worse)
    page = networks_page(comparison)
    assert page.count('remark clear">significant<') == 1
    assert "Corrected for 2 comparisons (Holm)" in verdict(comparison)
    assert "Holm's correction for 1 comparison." in networks_note(with_network(comparison, 2, differences=()))


@pytest.mark.parametrize(("others_p", "said"), [(0.5, "not significantly different from"), (0.02, "significantly better than")])
def test_what_is_clear_alone_need_not_be_clear_among_others(others_p, said):
    comparison = with_difference(comparison_of(), 1, 0.001, 0.1, 0.2, 0.04)
    comparison = with_difference(comparison, 2, *((0.01, 0.1, 0.2) if others_p < 0.05 else (-0.2, -0.05, 0.1)), others_p)
    assert f"{said} {NAMES[0]}" in verdict(comparison)
    assert ("significant alone, not after Holm" in networks_page(comparison)) == (others_p > 0.05)


def test_differences_of_an_older_version_are_not_called_clear():
    comparison = comparison_of()
    old = with_network(comparison, 1, differences=tuple(d.model_copy(update={"p_value": None}) for d in comparison.networks[1].differences))
    with pytest.raises(BadInput, match="run compare_networks again"):
        verdict(old)


def test_the_verdict_says_which_networks_were_scored_by_another_engine():
    comparison = comparison_of()
    assert "engines differ" not in verdict(comparison)
    engine = comparison.networks[1].engine.model_copy(update={"name": "pytorch", "precision": "float32"})
    mixed = with_network(comparison, 1, engine=engine)
    assert f"may come from them: {NAMES[0]} by openvino bfloat16, {NAMES[1]} by pytorch float32." in verdict(mixed)


def test_what_flow_costs_before_inference_is_said_where_a_network_sees_flow():
    comparison = comparison_of()
    seeing = with_network(comparison, 1, modality=Modality.FLOW)
    for made in (networks_page, networks_note):
        assert "includes optical flow" not in made(comparison)
        assert "Neither includes optical flow, which is computed once per clip" in made(seeing)


def test_a_fusion_has_the_inputs_of_its_members():
    members = (Modality.FLOW, Modality.SOUND)
    fused = with_network(comparison_of(), 1, modality=None, num_segments=None, members=members, family="fusion", backbone="2 networks")
    html = networks_page(fused)
    assert "flow + sound" in html
    assert "Optical flow" in html
    row = csv_rows(table(fused))[1]
    assert (row["family"], row["input"], row["segments"]) == ("fusion", "flow + sound", "")


def test_a_comparison_of_a_network_whose_input_was_removed_is_read_and_shown():
    stored = comparison_of().model_dump(mode="json")
    stored["networks"][1]["modality"] = "spectrogram"
    assert csv_rows(table(Comparison.model_validate(stored)))[1]["input"] == "spectrogram"


def test_what_was_not_counted_is_left_out_and_no_other_network_with_it():
    uncounted = with_network(comparison_of(), 1, num_parameters=None, num_flops=None)
    page, note = networks_page(uncounted), networks_note(uncounted)
    first, second, third = csv_rows(table(uncounted))
    assert (second["parameters"], second["flops_per_clip"]) == ("", "")
    assert f"{uncounted.networks[1].run_key}/num_flops" not in metrics_of(uncounted)
    assert all(float(row["flops_per_clip"]) for row in (first, third))
    assert note.splitlines()[5].count("\N{EN DASH}") == 2
    latency, flops = re.findall(r"<svg viewBox.*?</svg>", page, re.DOTALL)
    assert [sum(f"{number}, {name}: " in chart for number, name in enumerate(NAMES, 1)) for chart in (latency, flops)] == [3, 2]
    alone = with_network(comparison_of(num_networks=1), 0, num_flops=None)
    assert networks_page(alone).count("<svg viewBox") == 1


def with_top1(comparison, *shares):
    for number, share in enumerate(shares):
        comparison = with_network(comparison, number, action=comparison.networks[number].action.model_copy(update={"top1": share}))
    return comparison


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ((0.5, 0.4, 0.1), f"{NAMES[0]} has the highest action top-1, 50.0 %."),
        ((0.5, 0.5, 0.1), f"{NAMES[0]} and {NAMES[1]} have the highest action top-1, 50.0 %."),
        ((0.0, 0.0, 0.0), "all networks have the same action top-1, 0.0 %."),
        ((0.0,), f"{NAMES[0]}, the only network with a result, has action top-1 0.0 %."),
    ],
)
def test_the_best_are_named_only_where_others_are_worse(shares, said):
    assert said in verdict(with_top1(comparison_of(num_networks=len(shares)), *shares))


def test_without_its_reference_a_comparison_has_no_differences_and_says_so():
    comparison = comparison_of(has_reference=False, failed=("family=MTRN",))
    assert "The first configuration failed, so no differences were computed." in verdict(comparison)
    assert "the reference failed" in networks_page(comparison)
    assert not [written for written in (networks_page(comparison), networks_note(comparison)) if "Holm" in written]
    assert "family=MTRN failed." in verdict(comparison)


def test_the_table_has_a_row_a_configuration_and_every_cell_of_those_that_were_tested():
    comparison = comparison_of(failed=("family=MTRN",))
    rows = csv_rows(table(comparison))
    assert [row["configuration"] for row in rows] == [*NAMES, "family=MTRN"]
    differences = [f"{target}{end}" for target in TARGETS for end in ("_difference", "_difference_low", "_difference_high", "_corrected_p")]
    for row, network in zip(rows, comparison.networks, strict=False):
        for target in TARGETS:
            assert float(row[f"{target}_top1"]) == getattr(network, target).top1
        assert int(row["flops_per_clip"]) == network.num_flops
        empty = [*(differences if network is comparison.networks[0] else []), "failed_in", "failed_because"]
        assert [name for name, value in row.items() if not value] == empty
    assert (rows[3]["failed_in"], rows[3]["failed_because"]) == ("train", "BadVideo: family=MTRN: no frames")
    assert csv_rows(table(comparison_of(failed=("=cmd",))))[3]["configuration"] == "'=cmd"


def test_two_configurations_that_are_one_training_stand_under_one_figure():
    comparison = comparison_of(others=("weights=imagenet",))
    first, same, *_ = csv_rows(table(comparison))
    assert first | {"configuration": "weights=imagenet"} == same
    assert networks_page(comparison).count("same training as: weights=imagenet") == 1
    assert networks_note(comparison).count("same training as weights=imagenet") == 1


@pytest.mark.parametrize("case", ["comparison", "comparison of one network"])
def test_both_charts_tell_every_network_in_words(page_of, case):
    drawings = re.findall("<svg viewBox.*?</svg>", page_of(case), re.DOTALL)
    assert len(drawings) == 2
    for drawing in drawings:
        told = " ".join(words_of(drawing)[1])
        assert [network.name for network in COMPARISONS[case]().networks if network.name not in told] == []


def test_hostile_names_add_no_link_to_the_note():
    comparison = comparison_of(name=" ".join(HOSTILE_NAMES), failed=HOSTILE_NAMES, others=HOSTILE_NAMES)
    assert networks_note(comparison).count("](http") == len(comparison.networks)

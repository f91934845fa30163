import argparse
import errno
import os
import shutil
import time
import warnings
import zipfile
from pathlib import Path

import pytest
import torch

from tasks.errors import BadCheckpoint
from tasks.model.checkpoints import load, load_epic, save
from tasks.model.class_names import ClassNames
from tasks.model.network import Network, weights_sha256
from tasks.model.pretrained import build
from tasks.model.spec import CONSENSUS_OF_HEADS, NetworkSpec
from tasks.options import FlowOptions, Weights


@pytest.fixture
def epic_content(tiny_network, golden_state):
    return {
        "model_type": "tsn",
        "epoch": 80,
        "segment_count": 2,
        "modality": "RGB",
        "arch": "test_resnet",
        "consensus_type": "avg",
        "state_dict": golden_state(tiny_network),
        "args": argparse.Namespace(lr=0.01),
    }


class Evil:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_an_epic_file_fills_every_parameter(epic_content, hashed, tiny_spec):
    network = load_epic(hashed(epic_content), tiny_spec)
    assert torch.equal(network.head.fc_verb.weight, epic_content["state_dict"]["fc_verb.weight"])
    assert weights_sha256(network) == weights_sha256(load_epic(hashed(epic_content), tiny_spec, seed=9))


def test_published_weights_start_a_network_of_another_window_and_their_description_says_so(epic_content, hashed, tiny_spec):
    path = hashed(epic_content)
    whole, half = (build(tiny_spec.model_copy(update={"sampling_window": window}), Weights.EPIC, epic_file=path) for window in (1, 0.5))
    assert weights_sha256(whole.network) == weights_sha256(half.network)
    assert half.description == f"{whole.description}, on sampling window 0.5 instead of the whole clip"


@pytest.mark.parametrize("consensus", CONSENSUS_OF_HEADS.values())
def test_a_chosen_head_starts_above_the_published_backbone(epic_content, hashed, tiny_spec, consensus):
    start = build(tiny_spec.model_copy(update={"consensus": consensus}), Weights.EPIC, epic_file=hashed(epic_content), seed=3)
    published = load_epic(hashed(epic_content), tiny_spec)
    assert weights_sha256(start.network.backbone) == weights_sha256(published.backbone)
    assert weights_sha256(start.network.head) == weights_sha256(Network(start.network.spec, seed=3).head)
    assert start.is_chance
    assert "Backbone of EPIC-KITCHENS-55" in start.description


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"arch": "BNInception"}, "holds TSN BNInception RGB with 2 segments, expected TSN test_resnet RGB with 2 segments"),
        ({"model_type": "trn"}, "holds TRN"),
        ({"segment_count": 8}, "with 8 segments, expected .* with 2 segments"),
        ({"modality": "Flow"}, "test_resnet Flow with"),
    ],
)
def test_another_network_is_named_beside_the_one_that_was_asked(epic_content, hashed, tiny_spec, change, told):
    with pytest.raises(BadCheckpoint, match=told) as caught:
        load_epic(hashed(epic_content | change), tiny_spec)
    assert "\n" not in str(caught.value)


def test_wrong_shapes_missing_and_foreign_keys_are_named(epic_content, hashed, tiny_spec):
    state = epic_content["state_dict"]
    width = state["fc_verb.weight"].shape[1]
    for changed, told in (
        (state | {"fc_verb.weight": torch.zeros(97, width)}, rf"head\.fc_verb\.weight is 97 x {width} where .* needs 5 x {width}"),
        ({key: value for key, value in state.items() if key != "fc_noun.bias"}, r"head\.fc_noun\.bias is missing"),
        (state | {"new_fc.weight": torch.zeros(1)}, r"head\.new_fc\.weight is not a parameter"),
    ):
        with pytest.raises(BadCheckpoint, match=told):
            load_epic(hashed(epic_content | {"state_dict": changed}), tiny_spec)


def test_code_in_a_checkpoint_is_refused_and_never_runs(epic_content, hashed, tiny_spec, tmp_path: Path):
    trace = tmp_path / "ran"
    with pytest.raises(BadCheckpoint, match=r"holds code or objects \(posix.system\)"):
        load_epic(hashed(epic_content | {"args": Evil(f"touch {trace}")}), tiny_spec)
    with pytest.raises(BadCheckpoint, match="holds code or objects"):
        load_epic(hashed(epic_content | {"args": argparse.Namespace(lr=Evil(f"touch {trace}"))}), tiny_spec)
    assert not trace.exists()


def test_our_own_checkpoints_may_not_even_hold_a_namespace(hashed):
    with pytest.raises(BadCheckpoint, match="holds code or objects"):
        load(hashed({"args": argparse.Namespace()}))


def test_a_file_that_is_not_what_its_name_says_is_refused(epic_content, hashed, tiny_spec, tmp_path: Path):
    path = hashed(epic_content)
    with pytest.raises(BadCheckpoint, match="its name says 00000000"):
        load_epic(path.rename(tmp_path / "TSN-00000000.pth.tar"), tiny_spec)
    with pytest.raises(BadCheckpoint, match="does not end in a hash"):
        load_epic(tmp_path / "my.pth.tar", tiny_spec)
    with pytest.raises(BadCheckpoint, match="no such file"):
        load_epic(tmp_path / "TSN-3ecf904f.pth.tar", tiny_spec)


def test_ours_comes_back_as_it_went_and_gives_the_same_bytes_twice(tmp_path: Path, tiny_spec, tiny_network, tiny_classes):
    save(tmp_path / "one.pt", tiny_network.to(memory_format=torch.channels_last), tiny_classes)
    save(tmp_path / "two.pt", Network(tiny_spec, seed=1), tiny_classes)
    assert (tmp_path / "one.pt").read_bytes() == (tmp_path / "two.pt").read_bytes()
    saved = load(tmp_path / "one.pt")
    assert saved.network.spec == tiny_spec
    assert saved.classes == tiny_classes
    assert weights_sha256(saved.network) == weights_sha256(tiny_network)
    assert not list(tmp_path.glob("*.partial"))


def test_a_network_that_was_taught_verbs_alone_is_known_and_others_are_kept_as_ever(tmp_path: Path, tiny_network, tiny_classes):
    save(tmp_path / "verbs.pt", tiny_network, tiny_classes.model_copy(update={"has_objects": False}))
    save(tmp_path / "both.pt", tiny_network, tiny_classes)
    assert not load(tmp_path / "verbs.pt").classes.has_objects
    assert load(tmp_path / "both.pt").classes.has_objects
    assert torch.load(tmp_path / "both.pt", weights_only=True)["classes"].keys() == {"verbs", "nouns"}


@pytest.mark.parametrize("keep", [0, 10, 5000])
def test_damaged_files_are_named(tmp_path: Path, tiny_network, tiny_classes: ClassNames, keep):
    path = tmp_path / "best.pt"
    save(path, tiny_network, tiny_classes)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(BadCheckpoint, match=r"best\.pt: cannot be read as a checkpoint") as caught:
        load(path)
    assert "\n" not in str(caught.value)


def test_a_network_comes_back_with_the_kind_of_flow_that_it_was_trained_on(tmp_path: Path, tiny_spec, tiny_classes):
    flow = FlowOptions(flow_method="dis", flow_bound_pixels=15)
    spec = NetworkSpec.model_validate({**tiny_spec.model_dump(), "modality": "flow", "flow": flow})
    save(tmp_path / "flow.pt", Network(spec), tiny_classes)
    assert load(tmp_path / "flow.pt").network.spec.flow == flow


def test_somebody_elses_checkpoint_is_not_ours(hashed):
    with pytest.raises(BadCheckpoint, match="not a checkpoint of Retake; it holds epoch, state_dict"):
        load(hashed({"epoch": 1, "state_dict": {}}))


def test_weights_that_find_no_room_are_not_begun(tmp_path: Path, tiny_network, tiny_classes, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1, 1, 1 << 20))
    with pytest.raises(OSError, match=r"[\d.]+ MiB are needed and 1 MiB are free") as caught:
        save(tmp_path / "best.pt", tiny_network, tiny_classes)
    assert caught.value.errno == errno.ENOSPC
    assert not list(tmp_path.iterdir())


@pytest.fixture
def stored(tiny_network, tiny_classes):
    """What a checkpoint of ours holds, to be changed."""
    state = {key: value.clone() for key, value in tiny_network.state_dict().items()}
    spec = tiny_network.spec.model_dump(mode="json")
    return {"format": "retake-1", "classes": tiny_classes.model_dump(mode="json"), "spec": spec, "state_dict": state}


@pytest.fixture
def loaded(stored, tmp_path):
    """Write `stored` with other tensors or another description, and read it."""

    def call(changes=None, **described):
        stored["state_dict"] |= changes or {}
        stored["spec"] |= described
        torch.save(stored, tmp_path / "odd.pt")
        return load(tmp_path / "odd.pt")

    return call


def quantised():
    with warnings.catch_warnings(action="ignore"):
        return torch.quantize_per_tensor(torch.zeros(5, 96), 0.1, 0, torch.qint8)


def nested():
    with warnings.catch_warnings(action="ignore"):
        return torch.nested.nested_tensor([torch.zeros(2, 96), torch.zeros(3, 96)])


HEAD = "head.fc_verb.weight"
ODD_TENSORS = {
    "sparse": lambda: torch.zeros(5, 96).to_sparse(),
    "sparse rows": lambda: torch.zeros(5, 96).to_sparse_csr(),
    "without content": lambda: torch.zeros(5, 96, device="meta"),
    "quantised": quantised,
    "nested": nested,
    "complex": lambda: torch.zeros(5, 96, dtype=torch.complex64),
    "huge": lambda: torch.zeros(1).expand(10**12, 10**3),
    "as large as it says, by one number": lambda: torch.zeros(1).expand(5, 96 * 10**4),
    "no tensor": lambda: [0.0] * 96,
    "of another shape": lambda: torch.zeros(5, 97),
}


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support:UserWarning", "ignore:The PyTorch API of nested tensors:UserWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:TypedStorage is deprecated:UserWarning")
@pytest.mark.parametrize("kind", ODD_TENSORS)
def test_tensors_that_are_no_plain_weights_are_bad_input(loaded, kind):
    with pytest.raises(BadCheckpoint, match=r"odd\.pt: ") as caught:
        loaded({HEAD: ODD_TENSORS[kind]()})
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "described",
    [
        {"relation_draws": 10**9, "consensus": "multiscale-relation"},
        {"num_segments": 10**9},
        {"num_segments": 32, "consensus": "multiscale-relation"},
        {"num_segments": 1, "consensus": "multiscale-relation"},
        {"num_verbs": 10**9},
        {"num_nouns": 10**9, "consensus": "relation"},
        {"num_nouns": -1},
        {"num_verbs": 1e400},
        {"relation_seed": 10**30, "relation_draws": 3, "consensus": "multiscale-relation"},
        {"backbone": "no-such-backbone"},
        {"backbone": "\0\n" * 1000},
        {"backbone": 7},
        {"modality": ["rgb"]},
        {"flow": {"flow_bound_pixels": float("nan")}, "modality": "flow"},
        {"extra": 1},
    ],
)
def test_an_absurd_description_is_refused_at_once(loaded, described):
    began = time.monotonic()
    with pytest.raises(BadCheckpoint, match=r"odd\.pt: ") as caught:
        loaded(**described)
    assert time.monotonic() - began < 3
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "change",
    [
        {"format": torch.zeros(3)},
        {"format": ["retake-1"]},
        {"classes": torch.zeros(3)},
        {"classes": {"verbs": [], "nouns": 3}},
        {"spec": None},
        {"state_dict": torch.zeros(3)},
        {"state_dict": torch.zeros(3, 2).to_sparse()},
        {"state_dict": {}},
        {"state_dict": {torch.zeros(2): torch.zeros(2)}},
        {"format": "retake-fusion-1"},
        {"format": "retake-fusion-1", "members": []},
        {"format": "retake-fusion-1", "members": torch.zeros(3, device="meta")},
        {"format": "retake-fusion-1", "members": [{"weights": (1.0,)}]},
    ],
)
def test_a_checkpoint_of_another_build_is_bad_input(stored, tmp_path, change):
    torch.save(stored | change, tmp_path / "odd.pt")
    with pytest.raises(BadCheckpoint, match=r"odd\.pt: "):
        load(tmp_path / "odd.pt")


@pytest.mark.parametrize("weights", [(float("nan"), 1.0), (1.0, float("inf")), (10**400, 1)])
def test_members_count_by_finite_numbers(stored, tmp_path, weights):
    member = {"spec": stored["spec"], "state_dict": stored["state_dict"], "weights": weights}
    torch.save({"format": "retake-fusion-1", "classes": stored["classes"], "members": [member]}, tmp_path / "odd.pt")
    with pytest.raises(BadCheckpoint, match=r"odd\.pt: "):
        load(tmp_path / "odd.pt")


def test_many_members_that_are_one_and_the_same_are_refused_before_any_is_made(stored, tmp_path):
    member = {"spec": stored["spec"], "state_dict": stored["state_dict"], "weights": (1.0, 1.0)}
    torch.save({"format": "retake-fusion-1", "classes": stored["classes"], "members": [member] * 10_000}, tmp_path / "odd.pt")
    with pytest.raises(BadCheckpoint, match=r"claim [\d.]+ GiB, more than the file holds"):
        load(tmp_path / "odd.pt")


def test_an_archive_that_unpacks_to_more_than_it_is_is_refused(stored, tmp_path):
    torch.save(stored, tmp_path / "plain.pt")
    with zipfile.ZipFile(tmp_path / "plain.pt") as plain, zipfile.ZipFile(tmp_path / "odd.pt", "w", zipfile.ZIP_DEFLATED) as packed:
        for entry in plain.infolist():
            packed.writestr(entry.filename, bytes(entry.file_size) if "/data/" in entry.filename else plain.read(entry))
    with pytest.raises(BadCheckpoint, match=r"it unpacks to .* more than the file holds"):
        load(tmp_path / "odd.pt")


def test_a_published_file_with_odd_tensors_is_bad_input(epic_content, hashed, tiny_spec):
    for odd in (torch.zeros(5, 96).to_sparse(), torch.zeros(1).expand(10**12)):
        epic_content["state_dict"]["fc_verb.weight"] = odd
        with pytest.raises(BadCheckpoint, match=r"sparse|more than the file holds"):
            load_epic(hashed(epic_content), tiny_spec)

import argparse
import codecs
import errno
import os
import re
import shutil
import time
import zipfile
from collections import Counter, OrderedDict
from functools import reduce
from pathlib import Path

import pytest
import torch
from torch._utils import _rebuild_device_tensor_from_cpu_tensor

from tasks.errors import BadCheckpoint
from tasks.learn.networks import backbones
from tasks.learn.networks.checkpoints import load, load_epic, save
from tasks.learn.networks.heads import _draw
from tasks.learn.networks.network import Network, weights_sha256
from tasks.learn.networks.pretrained import build
from tasks.learn.networks.spec import CONSENSUS_OF_HEADS
from tasks.learn.networks.weights_file import read_weights
from tasks.options import Family, FlowOptions, Weights
from tests.learn.tiny import CLASSES, epic_key, tiny


@pytest.fixture
def content(tiny_network, epic_content):
    return epic_content(tiny_network)


class Large:
    """Becomes what a call gives when it is unpickled."""

    def __init__(self, *call: object) -> None:
        self.call = call

    def __reduce__(self):
        return self.call


def lists_of_lists():
    """Make a list that takes 200 bytes, and 12 MB as a text."""
    lists = ["put"] * 10
    for _ in range(5):
        lists = [lists] * 10
    return lists


def refusal(read, *arguments) -> str:
    """Tell in what line a file is refused, at once."""
    began = time.process_time()
    with pytest.raises(BadCheckpoint) as caught:
        read(*arguments)
    assert time.process_time() - began < 3
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000
    return str(caught.value)


@pytest.fixture
def refused(hashed):
    """Tell what is said of an EPIC file with this content."""
    return lambda changed: refusal(load_epic, hashed(changed), tiny())


@pytest.mark.slow
@pytest.mark.parametrize("family", [Family.TSN, Family.TRN, Family.MTRN, Family.TSM])
def test_an_epic_file_fills_every_parameter(epic_content, hashed, family):
    spec = tiny(family)
    content = epic_content(Network(spec))
    loaded = load_epic(hashed(content), spec).state_dict()
    assert {epic_key(key): tensor.tolist() for key, tensor in loaded.items()} == {
        key: tensor.tolist() for key, tensor in content["state_dict"].items()
    }


@pytest.mark.parametrize("consensus", CONSENSUS_OF_HEADS.values())
def test_a_chosen_head_starts_above_the_published_backbone(content, hashed, consensus):
    start = build(tiny(consensus=consensus), Weights.EPIC, epic_file=hashed(content), seed=3)
    published = load_epic(hashed(content), tiny())
    assert weights_sha256(start.network.backbone) == weights_sha256(published.backbone)
    assert weights_sha256(start.network.head) == weights_sha256(Network(start.network.spec, seed=3).head)
    assert start.is_chance
    assert "Backbone of EPIC-KITCHENS-55" in start.description


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"arch": "BNInception"}, "holds TSN BNInception RGB with 2 segments, expected TSN tiny_resnet RGB with 2 segments"),
        ({"model_type": "trn"}, "holds TRN"),
        ({"segment_count": 8}, "with 8 segments, expected TSN tiny_resnet RGB with 2 segments"),
        ({"modality": "Flow"}, "tiny_resnet Flow with"),
        ({"arch": lists_of_lists()}, "holds TSN list RGB with 2 segments"),
        ({"state_dict": {"fc_verb.weight": torch.zeros(97, 96)}}, r"head\.fc_verb\.weight is 97 x 96 where .* needs 5 x 96"),
        ({"state_dict": {"fc_noun.bias": None}}, r"head\.fc_noun\.bias is missing"),
        ({"state_dict": {"new_fc.weight": torch.zeros(1)}}, r"head\.new_fc\.weight is not a parameter"),
        ({"state_dict": {"fc_verb.weight": torch.zeros(5, 96).to_sparse()}}, "sparse"),
        ({"state_dict": {"fc_verb.weight": torch.zeros(1).expand(10**12)}}, "more than the file holds"),
        (
            {"state_dict": {"fc_verb.weight": torch.full((5, 96), torch.inf)}},
            r"\.pth\.tar: head\.fc_verb\.weight: not all weights are finite",
        ),
    ],
    ids=["backbone", "family", "segments", "input", "no name", "shape", "missing", "foreign", "sparse", "huge", "infinite"],
)
def test_another_network_and_weights_that_do_not_fit_are_named(content, refused, change, said):
    state = content["state_dict"] | change.get("state_dict", {})
    fitting = {key: value for key, value in state.items() if value is not None}
    assert re.search(said, refused(content | change | {"state_dict": fitting}))


def test_code_in_a_checkpoint_is_refused_and_never_runs(content, refused, tmp_path: Path):
    trace = tmp_path / "ran"
    assert "holds code or objects (posix.system)" in refused(content | {"args": Large(os.system, (f"touch {trace}",))})
    assert "holds code or objects" in refused(content | {"args": argparse.Namespace(lr=Large(os.system, (f"touch {trace}",)))})
    assert not trace.exists()


@pytest.mark.parametrize("is_archive", [True, False])
@pytest.mark.parametrize(
    ("call", "name"),
    [
        ((bytearray, (1 << 30,)), "__builtin__.bytearray"),
        ((codecs.encode, ("put", "punycode")), "_codecs.encode"),
        *(((kind, (torch.zeros(1).expand(1 << 30),)), kind.__name__) for kind in (set, Counter, OrderedDict, torch.Size)),
        ((OrderedDict, (), torch.zeros(1).expand(1 << 30)), "OrderedDict"),
        ((set, (Large(OrderedDict, (), {"seen": 1}),)), "set"),
        (
            (_rebuild_device_tensor_from_cpu_tensor, (torch.zeros(1).expand(1 << 30), torch.float64, "cpu", False)),
            "torch._utils._rebuild_device",
        ),
        ((torch.FloatTensor, ((0.0,),)), "torch.FloatTensor"),
    ],
)
def test_a_small_file_that_becomes_large_when_it_is_read_is_refused_unread(call, name, is_archive, tmp_path: Path, monkeypatch):
    torch.save({"args": Large(*call)}, tmp_path / "odd.pt", _use_new_zipfile_serialization=is_archive)
    monkeypatch.setattr(torch, "load", pytest.fail)
    with pytest.raises(BadCheckpoint, match=f"holds code or objects \\(([a-z_]+\\.)*{name}"):
        load(tmp_path / "odd.pt")


@pytest.mark.parametrize("is_archive", [True, False])
def test_a_small_file_that_takes_hours_to_read_is_refused_unread(is_archive, tmp_path: Path, monkeypatch):
    key = reduce(lambda part, _: (part,) * 10, range(12), ())
    torch.save({"args": Large(OrderedDict, ([[key, 0]],))}, tmp_path / "odd.pt", _use_new_zipfile_serialization=is_archive)
    monkeypatch.setattr(torch, "load", pytest.fail)
    with pytest.raises(BadCheckpoint, match="its tuples repeat more than 1048576 parts"):
        load(tmp_path / "odd.pt")


def test_other_peoples_checkpoints_may_hold_milestones_and_are_not_ours_which_may_not_even_hold_a_namespace(hashed, tmp_path: Path):
    torch.save({"milestones": Counter({30: 1}), "seen": {1, 2}}, tmp_path / "usual.pt")
    assert read_weights(tmp_path / "usual.pt")["milestones"] == {30: 1}
    with pytest.raises(BadCheckpoint, match="holds code or objects"):
        load(hashed({"args": argparse.Namespace()}))
    with pytest.raises(BadCheckpoint, match="not a checkpoint of Retake; it holds epoch, state_dict"):
        load(hashed({"epoch": 1, "state_dict": {}}))


def test_a_file_that_is_not_what_its_name_says_is_refused(content, hashed, tmp_path: Path):
    hashed(content).rename(tmp_path / "TSN-00000000.pth.tar")
    for name, said in (
        ("TSN-00000000.pth.tar", "its name says 00000000"),
        ("my.pth.tar", "does not end in a hash"),
        ("TSN-3ecf904f.pth.tar", "no such file"),
    ):
        with pytest.raises(BadCheckpoint, match=said):
            load_epic(tmp_path / name, tiny())


def test_ours_comes_back_as_it_went_and_gives_the_same_bytes_twice(tmp_path: Path):
    # Also with the kind of flow that it was trained on.
    spec = tiny(modality="flow", flow=FlowOptions(flow_method="dis"))
    save(tmp_path / "one.pt", Network(spec, seed=1).to(memory_format=torch.channels_last), CLASSES)
    save(tmp_path / "two.pt", Network(spec, seed=1), CLASSES)
    assert (tmp_path / "one.pt").read_bytes() == (tmp_path / "two.pt").read_bytes()
    saved = load(tmp_path / "one.pt")
    assert (saved.network.spec, saved.classes) == (spec, CLASSES)
    assert weights_sha256(saved.network) == weights_sha256(Network(spec, seed=1))
    assert not list(tmp_path.glob("*.partial"))


def test_a_network_that_was_taught_verbs_alone_is_known_and_others_are_kept_as_ever(tmp_path: Path, tiny_network):
    save(tmp_path / "verbs.pt", tiny_network, CLASSES.model_copy(update={"has_objects": False}))
    save(tmp_path / "both.pt", tiny_network, CLASSES)
    assert [load(tmp_path / name).classes.has_objects for name in ("verbs.pt", "both.pt")] == [False, True]
    assert torch.load(tmp_path / "both.pt", weights_only=True)["classes"].keys() == {"verbs", "nouns"}


@pytest.mark.parametrize("keep", [0, 10, 5000])
def test_damaged_files_are_named(tmp_path: Path, tiny_network, keep):
    path = tmp_path / "best.pt"
    save(path, tiny_network, CLASSES)
    path.write_bytes(path.read_bytes()[:keep])
    assert "best.pt: cannot be read as a checkpoint" in refusal(load, path)


def test_weights_that_find_no_room_are_not_begun(tmp_path: Path, tiny_network, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1, 1, 1 << 18))
    with pytest.raises(OSError, match=r"[\d.]+ KiB are needed and 256 KiB are free") as caught:
        save(tmp_path / "best.pt", tiny_network, CLASSES)
    assert caught.value.errno == errno.ENOSPC
    assert not list(tmp_path.iterdir())


@pytest.fixture
def stored(tiny_network):
    """The content of a checkpoint of ours, to be changed."""
    state = {key: value.clone() for key, value in tiny_network.state_dict().items()}
    spec = tiny_network.spec.model_dump(mode="json")
    return {"format": "retake-1", "classes": CLASSES.model_dump(mode="json"), "spec": spec, "state_dict": state}


@pytest.fixture
def refuses(stored, tmp_path):
    """Tell what is said of this checkpoint with other content."""

    def call(**changes) -> str:
        torch.save(stored | changes, tmp_path / "odd.pt")
        said = refusal(load, tmp_path / "odd.pt")
        assert "odd.pt: " in said
        return said

    return call


ODD_TENSORS = {
    "sparse": lambda: torch.zeros(5, 96).to_sparse(),
    "sparse rows": lambda: torch.zeros(5, 96).to_sparse_csr(),
    "without content": lambda: torch.zeros(5, 96, device="meta"),
    "quantised": lambda: torch.quantize_per_tensor(torch.zeros(5, 96), 0.1, 0, torch.qint8),
    "nested": lambda: torch.nested.nested_tensor([torch.zeros(2, 96), torch.zeros(3, 96)]),
    "complex": lambda: torch.zeros(5, 96, dtype=torch.complex64),
    "huge": lambda: torch.zeros(1).expand(10**12, 10**3),
    "as large as it says, by one number": lambda: torch.zeros(1).expand(5, 96 * 10**4),
    "not a number": lambda: torch.full((5, 96), torch.nan),
    "no tensor": lambda: [0.0] * 96,
    "of another shape": lambda: torch.zeros(5, 97),
}


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support:UserWarning", "ignore:The PyTorch API of nested tensors:UserWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:(TypedStorage is deprecated|torch.quantize_per_tensor):UserWarning")
@pytest.mark.parametrize("kind", ODD_TENSORS)
def test_tensors_that_are_no_plain_weights_are_bad_input(refuses, stored, kind):
    refuses(state_dict=stored["state_dict"] | {"head.fc_verb.weight": ODD_TENSORS[kind]()})


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
def test_an_absurd_description_is_refused_at_once(refuses, stored, described):
    refuses(spec=stored["spec"] | described)


def test_flow_of_an_earlier_version_is_read_unless_it_is_clipped_otherwise(tmp_path, stored, refuses):
    flow = {"flow_method": "tvl1", "flow_bound_pixels": 20.0}
    spec = tiny(modality="flow")
    save(tmp_path / "flow.pt", Network(spec, seed=1), CLASSES)
    content = torch.load(tmp_path / "flow.pt", weights_only=True)
    torch.save(content | {"spec": content["spec"] | {"flow": flow}}, tmp_path / "earlier.pt")
    assert load(tmp_path / "earlier.pt").network.spec == spec
    said = refuses(spec=stored["spec"] | {"modality": "flow", "flow": flow | {"flow_bound_pixels": 15.0}})
    assert "it has optical flow that is not clipped to 20 pixels, which this version no longer has; train again with modality=flow" in said


@pytest.mark.parametrize(
    ("described", "said"),
    [
        (
            {"consensus": "attentive"},
            "it has the head attentive, which this version no longer has; train again with head probe, linear or tcn",
        ),
        ({"consensus": "lstm"}, "it has the head lstm"),
        ({"modality": "spectrogram"}, "it has spectrograms as pictures, which this version no longer has; train again with modality=sound"),
        ({"modality": "sound", "sound": {"network": "0" * 64, "speech": None}}, "it has features of aisfx"),
        ({"modality": "sound", "sound": {"network": None, "speech": "0" * 64}}, "it has shares of speech"),
    ],
)
def test_a_network_of_a_kind_that_was_removed_is_refused_with_the_remedy(refuses, stored, described, said):
    assert said in refuses(spec=stored["spec"] | described)
    member = {"spec": stored["spec"] | described, "state_dict": {}, "weights": (1.0, 1.0)}
    assert said in refuses(format="retake-fusion-1", members=[member, member])


@pytest.mark.parametrize(
    ("described", "said"),
    [
        ({"backbone": "eva_giant_patch14_224"}, "claims a backbone of 1.01 billion weights and holds 107,251"),
        ({"backbone": "regnet_y_128gf"}, "claims a backbone of 638 million weights"),
        ({"num_verbs": 10_000, "num_nouns": 10_000}, "head.fc_verb.weight is 5 x 96 where"),
        ({"num_segments": 16, "relation_draws": 10_000, "consensus": "multiscale-relation"}, "head.new_fc.weight is missing"),
    ],
)
def test_what_a_checkpoint_claims_beyond_what_it_holds_is_never_built(refuses, stored, monkeypatch, described, said):
    backbones.of(tiny())
    monkeypatch.setattr(backbones, "_measure_features", pytest.fail)
    build, outlined = Network.__init__, []

    def built(self, *arguments):
        build(self, *arguments)
        outlined.append(all(parameter.is_meta for parameter in self.parameters()))

    monkeypatch.setattr(Network, "__init__", built)
    assert said in refuses(spec=stored["spec"] | described)
    assert outlined in ([], [True])
    assert _draw(12_870)[0].untyped_storage().nbytes() == 3 * 8, "a draw of relations keeps no others in memory"


FUSION = {"format": "retake-fusion-1"}


@pytest.mark.parametrize(
    "change",
    [
        {"format": torch.zeros(3)},
        {"format": ["retake-1"]},
        {"format": lists_of_lists()},
        {"format": "retake-2" * 1000},
        {"classes": torch.zeros(3)},
        {"classes": {"verbs": [], "nouns": 3}},
        {"spec": None},
        {"state_dict": torch.zeros(3)},
        {"state_dict": torch.zeros(3, 2).to_sparse()},
        {"state_dict": {}},
        {"state_dict": {torch.zeros(2): torch.zeros(2)}},
        FUSION,
        FUSION | {"members": []},
        FUSION | {"members": torch.zeros(3, device="meta")},
        FUSION | {"members": [{"weights": (1.0,)}]},
    ],
)
def test_a_checkpoint_of_another_build_is_bad_input(refuses, change):
    refuses(**change)


def test_a_format_of_a_later_version_is_named_beside_those_that_are_read(refuses):
    assert "format is retake-fusion-2, expected retake-1 or retake-fusion-1 or retake-joined-1; use the" in refuses(
        format="retake-fusion-2"
    )


@pytest.mark.parametrize(
    ("weights", "num_members", "said"),
    [
        *(
            (weights, 1, "not a checkpoint of Retake; it holds format, classes, spec, state_dict, members")
            for weights in ((float("nan"), 1.0), (1.0, float("inf")), (10**400, 1))
        ),
        ((1.0, 1.0), 4000, r"claim [\d.]+ GiB, more than the file holds"),
    ],
)
def test_members_count_by_finite_numbers_and_many_that_are_one_and_the_same_are_refused(refuses, stored, weights, num_members, said):
    member = {"spec": stored["spec"], "state_dict": stored["state_dict"], "weights": weights}
    assert re.search(said, refuses(**FUSION, members=[member] * num_members))


def test_an_archive_that_unpacks_to_more_than_it_is_is_refused(stored, tmp_path):
    torch.save(stored, tmp_path / "plain.pt")
    with zipfile.ZipFile(tmp_path / "plain.pt") as plain, zipfile.ZipFile(tmp_path / "odd.pt", "w", zipfile.ZIP_DEFLATED) as packed:
        for entry in plain.infolist():
            packed.writestr(entry.filename, bytes(entry.file_size) if "/data/" in entry.filename else plain.read(entry))
    with pytest.raises(BadCheckpoint, match=r"it unpacks to .* more than the file holds"):
        load(tmp_path / "odd.pt")

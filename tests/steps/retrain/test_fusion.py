"""Which networks may be fused: none is in a fusion twice, by whatever name."""

import logging

import pytest

from tasks.errors import BadConfiguration, BadInput
from tasks.model.checkpoints import HeadWeights, load, save, save_fusion
from tasks.model.class_names import ClassNames
from tasks.model.network import Network, weights_sha256
from tasks.model.spec import NetworkSpec
from tasks.steps._checkpoints import file_sha256
from tasks.steps.retrain._fusion import _heard_by_all, equal_fusion
from tests.steps.shelf import Shelf, train_result

STORE = "s3://retake"
CLASSES = ClassNames(verbs=tuple("abcde"), nouns=tuple("wxyz"))


def network(seed):
    return Network(NetworkSpec(backbone="test_resnet", num_segments=2, num_verbs=5, num_nouns=4), seed)


def name(key: object):
    return f"runs/{str(key) * 16}/"


@pytest.fixture
def shelf(tmp_path):
    """Networks 1, 2 and 3, the first again in another file, and two fusions that share the second."""
    made, (one, two, three) = Shelf(), map(network, (1, 2, 3))
    for key, member in (("1", one), ("2", two), ("3", three)):
        save(tmp_path / key, member, CLASSES)
    save(tmp_path / "c", one, ClassNames(verbs=("verb-0", *CLASSES.verbs[1:]), nouns=CLASSES.nouns))
    for key, members in (("a", [one, two]), ("b", [two, three])):
        save_fusion(tmp_path / key, members, [HeadWeights(1, 1)] * 2, CLASSES)
    for path in tmp_path.iterdir():
        put(made, path)
    return made


def put(shelf, path):
    """A training that ended with this checkpoint, under the key that its file's name stands for."""
    folder = f"{STORE}/{name(path.name)}train/"
    shelf.write_file(f"{folder}best.pt", path)
    shelf.write(f"{folder}result.json", train_result(f"{folder}best.pt", file_sha256(path)))


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("11", f"{name(1)} is the same network as {name(1)}"),
        ("121", f"{name(1)} is the same network as {name(1)}"),
        ("1c", f"{name('c')} is the same network as {name(1)}"),
        ("ab", f"{name('b')} has the same network as {name('a')}"),
        ("a2", f"{name(2)} is the same network as {name('a')}"),
    ],
    ids=[
        "a name twice",
        "a name twice beside another",
        "two files of one network",
        "two fusions that share one",
        "a fusion and its member",
    ],
)
def test_a_network_that_would_count_twice_is_refused(shelf, keys, said):
    with pytest.raises(BadConfiguration, match=f"^fuse: {said}; leave one of them out$"):
        equal_fusion([name(key) for key in keys], STORE, shelf)


def test_members_of_a_fusion_count_as_each_other_network_does(shelf, tmp_path):
    result = equal_fusion([name("a"), name(3)], STORE, shelf)
    assert [member.name for member in result.members] == [name("a"), name("a"), name(3)]
    shelf.read_file(result.uri, tmp_path / "fused")
    saved = load(tmp_path / "fused")
    assert [weights_sha256(one) for one in saved.networks] == [weights_sha256(network(seed)) for seed in (1, 2, 3)]
    assert saved.weights == (HeadWeights(1 / 3, 1 / 3),) * 3


def test_networks_of_different_sizes_are_fused_under_the_names_that_any_of_them_has(shelf, tmp_path):
    wide = Network(NetworkSpec(backbone="test_resnet", num_segments=2, num_verbs=7, num_nouns=4), seed=4)
    save(tmp_path / "4", wide, ClassNames(verbs=("verb-0", *CLASSES.verbs[1:], "verb-5", "knit"), nouns=CLASSES.nouns))
    put(shelf, tmp_path / "4")
    for keys in ("14", "41"):
        shelf.read_file(equal_fusion([name(key) for key in keys], STORE, shelf).uri, tmp_path / "fused")
        saved = load(tmp_path / "fused")
        assert saved.classes.verbs == (*CLASSES.verbs, "verb-5", "knit")
        assert saved.classes.known_verbs == {0, 1, 2, 3, 4, 6}
        assert {network.spec.num_verbs for network in saved.networks} == {5, 7}


def test_networks_that_call_a_class_by_two_names_are_not_fused(shelf, tmp_path):
    save(tmp_path / "4", network(4), ClassNames(verbs=("knit", *CLASSES.verbs[1:]), nouns=CLASSES.nouns))
    put(shelf, tmp_path / "4")
    with pytest.raises(BadInput, match=r"fuse: verb 0 is knit to .* and a to .*; they name other classes"):
        equal_fusion([name(1), name(4)], STORE, shelf)


def test_weights_are_chosen_on_the_clips_in_which_all_networks_hear(make_clips, caplog):
    caplog.set_level(logging.WARNING)
    members = [make_clips(seed=seed) for seed in (1, 2)]
    uids = members[0].uids
    assert _heard_by_all(members, set()) == members
    heard = _heard_by_all(members, {uids[3], uids[5]})
    assert [one.uids for one in heard] == [tuple(uid for uid in uids if uid not in (uids[3], uids[5]))] * 2
    assert f"2 of 20 val clips have no sound; weights are chosen on the others: {uids[3]}, {uids[5]}" in caplog.text
    with pytest.raises(BadInput, match="no val clip has sound"):
        _heard_by_all(members, set(uids))

"""Which networks may be fused: none is in a fusion twice, by whatever name."""

import pytest

from tasks.errors import BadConfiguration
from tasks.model.checkpoints import ClassNames, HeadWeights, load, save, save_fusion
from tasks.model.network import Network, weights_sha256
from tasks.model.spec import NetworkSpec
from tasks.steps._fusion import equal_fusion
from tasks.steps._networks import file_sha256
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
        folder = f"{STORE}/{name(path.name)}train/"
        made.write_file(f"{folder}best.pt", path)
        made.write(
            f"{folder}result.json",
            train_result(f"{folder}best.pt", file_sha256(path)),
        )
    return made


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

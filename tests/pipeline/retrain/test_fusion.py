"""Which networks may be fused: none is in a fusion twice, by whatever name."""

import logging
from pathlib import Path

import pytest

from tasks.errors import BadCheckpoint, BadConfiguration, BadInput
from tasks.keys import file_sha256
from tasks.learn.networks.checkpoints import HeadWeights, load, save, save_fusion, save_joined
from tasks.learn.networks.network import Network, weights_sha256
from tasks.learn.networks.spec import ClassNames, NetworkSpec, no_names
from tasks.learn.training.job import joint_spec
from tasks.options import TrainOptions
from tasks.pipeline import _training
from tasks.pipeline._fusion import _heard_by_all, equal_fusion
from tasks.pipeline._plans import plan_training
from tasks.pipeline._training import joined_inputs
from tests.pipeline.shelf import RUN, Shelf, dataset_clip, manifest_of, plan_result, train_result, words

pytestmark = pytest.mark.slow

STORE = "s3://retake"
CLASSES = ClassNames(verbs=tuple("abcde"), nouns=tuple("wxyz"))


def network(seed):
    return Network(NetworkSpec(backbone="test_resnet", num_segments=2, num_verbs=5, num_nouns=4), seed)


def name(key: object):
    return f"runs/{str(key) * 16}/"


GONE, OTHER_WORDS, OTHER_BYTES = map(name, "045")


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Networks 1, 2 and 3, the first again in another file, and two fusions that share the second; others that cannot be fused."""
    made, folder, (first, second, third) = Shelf(), tmp_path_factory.mktemp("networks"), map(network, (1, 2, 3))
    for key, member in (("1", first), ("2", second), ("3", third), ("0", network(5)), ("5", network(6))):
        save(folder / key, member, CLASSES)
    save(folder / "c", first, ClassNames(verbs=("verb-0", *CLASSES.verbs[1:]), nouns=CLASSES.nouns))
    save(folder / "4", network(4), ClassNames(verbs=("knit", *CLASSES.verbs[1:]), nouns=CLASSES.nouns))
    for key, members in (("a", [first, second]), ("b", [second, third])):
        save_fusion(folder / key, members, [HeadWeights(1, 1)] * 2, CLASSES)
    for path in folder.iterdir():
        put(made, path)
    made.remove(f"{STORE}/{GONE}train/best.pt")
    made.write_bytes(f"{STORE}/{OTHER_BYTES}train/best.pt", b"other bytes")
    return made


@pytest.fixture
def shelf(networks):
    return networks.copy()


def put(shelf, path):
    """A training that ended with this checkpoint, under the key that its file's name stands for."""
    folder = f"{STORE}/{name(path.name)}train/"
    shelf.write_file(f"{folder}best.pt", path)
    shelf.write(f"{folder}result.json", train_result(f"{folder}best.pt", file_sha256(path)))


def test_members_of_a_fusion_count_as_each_other_network_does(shelf, tmp_path):
    result = equal_fusion([name("a"), name(3)], STORE, shelf)
    assert [member.name for member in result.members] == [name("a"), name("a"), name(3)]
    shelf.read_file(result.uri, tmp_path / "fused")
    saved = load(tmp_path / "fused")
    assert [weights_sha256(member) for member in saved.networks] == [weights_sha256(network(seed)) for seed in (1, 2, 3)]
    assert saved.weights == (HeadWeights(1 / 3, 1 / 3),) * 3


def test_networks_of_different_sizes_are_fused_under_the_names_that_any_of_them_has(shelf, tmp_path):
    wide = Network(NetworkSpec(backbone="test_resnet", num_segments=2, num_verbs=7, num_nouns=4), seed=4)
    save(tmp_path / "6", wide, ClassNames(verbs=("verb-0", *CLASSES.verbs[1:], "verb-5", "knit"), nouns=CLASSES.nouns))
    put(shelf, tmp_path / "6")
    for keys in ("16", "61"):
        shelf.read_file(equal_fusion([name(key) for key in keys], STORE, shelf).uri, tmp_path / "fused")
        saved = load(tmp_path / "fused")
        assert saved.classes.verbs == (*CLASSES.verbs, "verb-5", "knit")
        assert saved.classes.known_verbs == {0, 1, 2, 3, 4, 6}
        assert {network.spec.num_verbs for network in saved.networks} == {5, 7}


@pytest.mark.parametrize(
    ("names", "kind", "said"),
    [
        ([name(1), name(1)], BadConfiguration, f"{name(1)} is the same network as {name(1)}; leave one of them out$"),
        ([name(1), name(2), name(1)], BadConfiguration, f"{name(1)} is the same network as {name(1)}"),
        ([name(1), name("c")], BadConfiguration, f"{name('c')} is the same network as {name(1)}"),
        ([name("a"), name("b")], BadConfiguration, f"{name('b')} has the same network as {name('a')}"),
        ([name("a"), name(2)], BadConfiguration, f"{name(2)} is the same network as {name('a')}"),
        (["retake-tsn"], BadConfiguration, "retake-tsn names no network; write models:/NAME@ALIAS"),
        ([name(1)], BadConfiguration, f"{name(1)} is one network alone; name two or more"),
        ([name(1), f"{STORE}/{name(1)}"], BadConfiguration, f"{STORE}/{name(1)} is the same network as {name(1)}"),
        ([name(1), GONE], BadCheckpoint, f"{GONE}: its checkpoint {STORE}/{GONE}train/best.pt is gone"),
        ([name(1), name(9)], BadInput, f"{name(9)}: {STORE} has no finished training under {name(9)}"),
        (
            [name("c"), name(2), OTHER_WORDS],
            BadInput,
            f"verb 0 is knit to {OTHER_WORDS} and a to a network named before it; they have other classes",
        ),
        ([name(1), OTHER_BYTES], BadCheckpoint, f"{OTHER_BYTES}: {STORE}/{OTHER_BYTES}train/best.pt is not the file that was recorded"),
    ],
    ids=[
        *("a name twice", "a name twice beside another", "two files of one network", "two fusions that share one"),
        *("a fusion and its member", "no name", "one alone", "one by two names", "gone", "not trained", "other words"),
        "other bytes",
    ],
)
def test_a_network_that_cannot_be_fused_or_would_count_twice_is_named_in_one_line(shelf, names, kind, said):
    with pytest.raises(kind, match=f"^fuse: {said}") as refused:
        equal_fusion(names, STORE, shelf)
    assert "\n" not in str(refused.value)


def test_weights_are_chosen_on_the_clips_in_which_all_networks_hear(make_clips, caplog):
    caplog.set_level(logging.WARNING)
    members = [make_clips(seed=seed) for seed in (1, 2)]
    uids = members[0].uids
    assert _heard_by_all(members, set()) == members
    heard = _heard_by_all(members, {uids[3], uids[5]})
    assert [member.uids for member in heard] == [tuple(uid for uid in uids if uid not in (uids[3], uids[5]))] * 2
    assert f"2 of 20 val clips have no sound; weights are chosen on the others: {uids[3]}, {uids[5]}" in caplog.text
    with pytest.raises(BadInput, match="no val clip has sound"):
        _heard_by_all(members, set(uids))


JOIN = TrainOptions(fuse=[name(1), name(2)], join="features", trainable="heads", head="tcn")


def test_joined_features_start_from_the_fusion_of_their_members_and_are_named_for_their_head(shelf):
    joined, averaged = (equal_fusion(JOIN.fuse, STORE, shelf, joint) for joint in (JOIN, None))
    assert joined.sha256 == averaged.sha256
    assert joined.network == f"{averaged.network}; features of 2 networks joined, tcn head"


def test_joined_features_are_no_member_of_a_fusion(shelf, tmp_path):
    members = [network(1), network(2)]
    save_joined(tmp_path / "f", members, Network(joint_spec(members, JOIN, num_verbs=5, num_nouns=4)), CLASSES)
    put(shelf, tmp_path / "f")
    with pytest.raises(
        BadConfiguration, match=f"^fuse: {name('f')} answers by the joined features of 2 networks; fuse these networks instead$"
    ):
        equal_fusion([name("f"), name(3)], STORE, shelf)


def test_a_run_of_fused_networks_is_named_by_its_members_in_their_order_and_what_trains_its_head(shelf):
    def key(**changes):
        return plan_training(STORE, "digest", TrainOptions.model_validate(JOIN.model_dump() | changes), fused, "model").run_key

    fused = equal_fusion(JOIN.fuse[::-1], STORE, shelf)
    swapped = key(join="logits")
    fused = equal_fusion(JOIN.fuse, STORE, shelf, JOIN)
    assert len({swapped, key(), key(join="logits"), key(epochs=7), key(head="linear"), key(seed=3)}) == 6
    assert key() == key(backbone="resnet50", modality="flow", num_segments=3)
    assert key(join="logits") == key(join="logits", epochs=7, backbone="resnet50")


def test_every_clip_that_all_members_can_see_is_trained_on_also_where_there_is_nothing_to_hear(shelf, tmp_path, monkeypatch):
    def seen(number):
        return lambda _, clips, spec, *__, **___: {
            clip.uid: Path(f"{spec.modality}-{clip.uid}") for clip in clips if (spec.modality, clip.uid) not in number
        }

    monkeypatch.setattr(_training, "cache_train_frames", seen([("flow", "t1"), ("sound", "t2")]))
    monkeypatch.setattr(_training, "cache_test_frames", seen([]))
    specs = [NetworkSpec(backbone="test_resnet", modality=modality, num_segments=2) for modality in ("rgb", "flow")]
    specs.append(NetworkSpec(backbone="log-mel", modality="sound", num_segments=2))
    save_fusion(tmp_path / "members", [Network(spec) for spec in specs], [HeadWeights(1, 1)] * 3, no_names(specs[0]))
    shelf.write_file(f"{RUN}c.ckpt", tmp_path / "members")
    plan = plan_result(sha256=file_sha256(tmp_path / "members"), train=JOIN.model_copy(update={"seed": 4}))
    knit = {"verb": "knit", "noun": "bag", "verb_class": 130, "noun_class": 20}
    manifest = manifest_of(
        (dataset_clip(uid, "train" if uid[0] == "t" else "val", **knit) for uid in ("t0", "t1", "t2", "v0")),
        words({130: "knit"}, {20: "bag"}),
    )
    job, clips = joined_inputs(plan, manifest, shelf, tmp_path)
    assert [clip.uid for clip in clips] == [str(clip.frames) for clip in job.train] == ["t0", "t2"]
    assert [str(clip.frames) for clip in job.val] == ["v0"]
    assert [member.frames[Path("t2")].name for member in job.joined] == ["rgb-t2", "flow-t2", "sound-t2"]
    assert (job.network.spec.num_verbs, job.network.spec.consensus, job.devices) == (131, "tcn", 1)
    assert job.classes.known_verbs == {130}

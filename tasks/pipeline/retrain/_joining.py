"""Make the training of a head on the joined features of trained networks."""

from pathlib import Path

from tasks.data.clips.frame_cache import cache_test_frames, cache_train_frames
from tasks.learn.inputs.data import CachedClip
from tasks.learn.inputs.describe_sound import describer
from tasks.learn.networks.network import Network
from tasks.learn.networks.spec import no_names, trained_names
from tasks.learn.training.job import JoinedNetwork, TrainJob, joint_spec
from tasks.pipeline._checkpoints import fetch_network
from tasks.settings import MachineSettings, load
from tasks.store.objects import Store
from tasks.store.records.dataset import DatasetClip, Manifest
from tasks.store.records.training import PlanResult


def joined_inputs(plan: PlanResult, manifest: Manifest, store: Store, folder: Path) -> tuple[TrainJob, list[DatasetClip]]:
    """Fetch the inputs of a training on joined features, and list the clips of its `train`, in this order.

    Clips without sound are trained on as well: the head has to answer them. A clip is left out where one of the networks cannot see it.
    """
    saved = fetch_network(store, plan.weights.uri, plan.weights.sha256, folder)
    train, val = ([clip for clip in manifest.clips if clip.split == split] for split in ("train", "val"))
    joined = []
    for network in saved.networks:
        spec = network.spec
        seen = {
            **(
                cache_test_frames(store, train, spec, describer=describer)
                if spec.modality.is_heard
                else cache_train_frames(store, train, spec, plan.train, describer)
            ),
            **cache_test_frames(store, val, spec, describer=describer),
        }
        joined.append(JoinedNetwork(network, {Path(uid): path for uid, path in seen.items()}))
    used = [clip for clip in train if all(Path(clip.uid) in one.frames for one in joined)]
    words, machine = manifest.vocabulary, load(MachineSettings)
    spec = joint_spec(saved.networks, plan.train, words.num_verbs, words.num_nouns)
    job = TrainJob(
        network=Network(spec, plan.train.seed),
        classes=trained_names(words, no_names(spec), spec),
        train=_labelled(used),
        val=_labelled(val),
        options=plan.train,
        folder=folder,
        device=machine.device,
        features=machine.cache_dir.expanduser() / "features",
        joined=joined,
    )
    return job, used


def _labelled(clips: list[DatasetClip]) -> list[CachedClip]:
    """Name the clips by their uids, with their classes."""
    return [CachedClip(Path(clip.uid), clip.verb_class, clip.noun_class, clip.source) for clip in clips]

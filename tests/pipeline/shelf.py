"""A store in memory, and clips in it."""

import hashlib
import subprocess
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import RLock

from tasks.errors import MissingObject
from tasks.options import EvaluateOptions, SegmentOptions, TrainOptions, Weights
from tasks.store.objects import Store, StoredObject
from tasks.store.records.dataset import ClassRef, Manifest, Vocabulary
from tasks.store.records.prediction import Predictor, PredictPlanResult
from tasks.store.records.training import PlanResult, TrainResult, WeightsResult
from tasks.store.records.video import ClipsFile
from tasks.store.stored import bucket_uri, split_uri
from tests.data.labels import records
from tests.records import some

RUN = "s3://retake/runs/0123/"


def filmed(ffmpeg, path, seconds=1, picture="testsrc2=s=320x240:r=30", track=None):
    """Draw a moving picture, with a track that lavfi draws too, or with none."""
    sound = ["-f", "lavfi", "-i", track, "-c:a", "aac"] if track else []
    command = [ffmpeg, "-nostdin", "-loglevel", "error", "-y", "-f", "lavfi", "-i", picture, *sound]
    subprocess.run([*command, "-t", str(seconds), "-pix_fmt", "yuv420p", path], check=True)
    return path


def train_result(checkpoint_uri, sha256, **changes):
    """A training that ended with this checkpoint."""
    ended = {"best_epoch": 0, "best_val_loss": 1, "epochs": (), "stopped_early": False, "seconds": 1, "mlflow_run_id": "r"}
    return some(TrainResult, checkpoint_uri=checkpoint_uri, checkpoint_sha256=sha256, **ended | changes)


def put_trained(store, network, classes=None, uri=None, run_uri=RUN, **ended):
    """Leave a network as if a run had trained it; return the hash of its checkpoint."""
    from tasks.learn.networks.checkpoints import save  # torch takes seconds to import
    from tasks.learn.networks.spec import no_names

    uri = uri or f"{run_uri}train/best.pt"
    with tempfile.NamedTemporaryFile() as file:
        save(Path(file.name), network, classes or no_names(network.spec))
        store.write_file(uri, file.name)
    sha256 = store.stat(uri).etag
    store.write(f"{run_uri}train/result.json", train_result(uri, sha256, **ended))
    return sha256


def weights_result(**changes):
    """A small network in the folder of its run, to start from."""
    network = {"network": "TSN test_resnet rgb, 2 segments", "backbone": "test_resnet", "weights": Weights.NONE}
    return some(WeightsResult, **network | {"uri": f"{RUN}c.ckpt", "sha256": "0" * 64, "description": "none"} | changes)


def plan_result(evaluations=(), sha256="0" * 64, **changes):
    """The plan of a small network that starts from a checkpoint in the folder of its run."""
    placed = {"run_key": "0123", "run_uri": RUN, "decision_uri": f"{RUN}decisions/d/", "model_name": "m", "num_champions": 0}
    dataset = {"dataset_uri": "s3://retake/datasets/x/", "dataset_digest": "x"}
    network = {"train": TrainOptions(backbone="test_resnet", num_segments=2), "weights": weights_result(sha256=sha256), "champion": None}
    return some(PlanResult, evaluations=evaluations, **placed | dataset | network | changes)


def dataset_clip(uid="c", split="train", **changes):
    """A clip of a dataset, which shows somebody put meat."""
    kept = {"source": "a", "names": ("a.mp4",), "video": "0" * 64, "uri": f"s3://retake/clips/{uid}.mp4"}
    return records.dataset_clip(uid, split, **{"height": 240, "origin": "folder"} | kept | changes)


def words(verbs, nouns):
    """A vocabulary of these names by their ids."""
    lists = [tuple(ClassRef(id=class_id, name=name) for class_id, name in named.items()) for named in (verbs, nouns)]
    return Vocabulary(verbs=lists[0], nouns=lists[1])


def manifest_of(clips, vocabulary=None, **changes):
    """A dataset of these clips."""
    return some(Manifest, vocabulary=vocabulary or words({1: "put"}, {26: "meat"}), clips=tuple(clips), **changes)


def predictor(label, checkpoint_uri="", checkpoint_sha256="", **known):
    """A network that predicts, with logits as they are."""
    logits = {"flows": (), "verb_temperature": 1, "noun_temperature": 1, "is_calibrated": False, "description": "", "calibration": ""}
    return some(Predictor, **{"label": label, "checkpoint_uri": checkpoint_uri, "checkpoint_sha256": checkpoint_sha256} | logits | known)


def predict_plan(model, against=None, **known):
    """The plan of a prediction by one network or two."""
    placed = {"key": "p", "prediction_uri": "s3://retake/predictions/p/", "store": "s3://retake", "num_videos": 2}
    options = {"evaluate": EvaluateOptions(crops=1), "run_uri": None, "model_dataset_uri": None}
    return some(PredictPlanResult, model=model, against=against, **placed | options | known)


def fill_disk(shelf, monkeypatch, suffix):
    """Let the disk be full for a file of this ending that is written beside one that was read from the shelf."""
    read = shelf.read_file

    def read_file(uri, path):
        read(uri, path)
        path.with_suffix(suffix).symlink_to("/dev/full")

    def write_file(uri, path):
        raise AssertionError(f"{path} is not whole")

    monkeypatch.setattr(shelf, "read_file", read_file)
    monkeypatch.setattr(shelf, "write_file", write_file)


class Shelf(Store):
    """Objects by their address, in buckets that somebody has made; each write is a second after the one before, from nine o'clock on.

    What a test puts into `objects` itself has no time, as from a server that keeps none.
    """

    def __init__(self, clip_bytes=b"", buckets=("retake",)):
        self.objects, self.written, self.buckets_made = {}, {}, set(buckets)
        self.now, self.creating = datetime(2026, 11, 27, 9, tzinfo=UTC), RLock()
        self.clip_bytes, self.uploads = clip_bytes, {}

    def copy(self):
        """Make a store of its own with the same objects."""
        made = type(self)()
        made.objects, made.written, made.buckets_made = dict(self.objects), dict(self.written), set(self.buckets_made)
        made.now, made.clip_bytes = self.now, self.clip_bytes
        return made

    def ensure_bucket(self, uri):
        self.buckets_made.add(split_uri(uri)[0])

    def has_bucket(self, uri):
        return split_uri(uri)[0] in self.buckets_made

    def buckets(self):
        return tuple(sorted(map(bucket_uri, self.buckets_made)))

    def stat(self, uri):
        data = self.objects.get(uri)
        return None if data is None else StoredObject(uri, hashlib.sha256(data).hexdigest(), len(data), str(self.written.get(uri, "")))

    def list(self, prefix_uri):
        return iter([self.stat(uri) for uri in sorted(self.objects) if uri.startswith(prefix_uri)])

    def folders(self, folder_uri):
        rests = [uri.removeprefix(folder_uri) for uri in list(self.objects) if uri.startswith(folder_uri)]
        return tuple(sorted({f"{folder_uri}{rest.split('/')[0]}/" for rest in rests if "/" in rest}))

    def read_bytes(self, uri):
        if uri not in self.objects:
            raise MissingObject(f"{uri} is not in the store")
        return self.objects[uri]

    def write_bytes(self, uri, data):
        if split_uri(uri)[0] not in self.buckets_made:
            raise MissingObject(f"{uri}: there is no such bucket")
        with self.creating:
            self.now += timedelta(seconds=1)
            self.objects[uri], self.written[uri] = data, self.now

    def read_file(self, uri, path):
        Path(path).write_bytes(self.read_bytes(uri))

    def write_file(self, uri, path):
        self.write_bytes(uri, Path(path).read_bytes())

    def replace_bytes(self, uri, data, earlier):
        with self.creating:
            if self.stat(uri) != earlier:
                return False
            self.write_bytes(uri, data)
            return True

    def remove(self, uri):
        del self.objects[uri]

    def delete(self, uris):
        for uri in uris:
            self.objects.pop(uri, None)

    def abort_uploads(self, folder_uri, before, *, dry_run):
        aborted = tuple(uri for uri, began in self.uploads.items() if uri.startswith(folder_uri) and began < before)
        for uri in () if dry_run else aborted:
            del self.uploads[uri]
        return aborted

    def keeps_versions(self, uri):
        return False

    def clips(self, video, num_clips, recipe="recipe"):
        """Put the same film there again and again, under hashes of their own."""
        made = []
        for number in range(num_clips):
            uri = f"s3://retake/clips/{video}/{recipe}/{number:04d}.mp4"
            self.write_bytes(uri, self.clip_bytes)
            hashed = {"uid": f"{video[:12]}_{number:04d}", "sha256": f"{video[:56]}{number:08x}", "size_bytes": len(self.clip_bytes)}
            seen = {"start_seconds": float(number), "stop_seconds": float(number + 1), "num_frames": 30, "height": 240, "has_audio": False}
            made.append(records.clip_record(video, number, uri=uri, **hashed, **seen))
        return tuple(made)


class Killed(BaseException):
    """The end of a process that is killed: nothing catches it."""


class Fragile(Shelf):
    """A store whose writer is killed before a write or a deletion."""

    num_writes, dies_at = 0, None

    def write_bytes(self, uri, data):
        self._count()
        super().write_bytes(uri, data)

    def _count(self):
        if self.num_writes == self.dies_at:
            raise Killed
        self.num_writes += 1

    num_deleted, deletes_at_most = 0, None

    def delete(self, uris):
        for uri in uris:
            if self.num_deleted == self.deletes_at_most:
                raise Killed
            self.num_deleted += 1
            self._count()
            super().delete([uri])


def recorded(video, name="a.mp4"):
    """What probing wrote of a video."""
    return records.video_record(video, names=(name,), width=320, height=240, is_hdr=False, video_index=0)


def cut_into(store, video, clips, name="a.mp4", recipe="r", options=None):
    """Record a video as taken in and cut into these clips."""
    store.write(f"s3://retake/videos/{video}/probe.json", recorded(video, name))
    options = options or SegmentOptions()
    cut = ClipsFile(video=video, recipe=recipe, options=options, clips=clips, dropped_seconds=0, warnings=(), set_aside=None)
    store.write(f"s3://retake/clips/{video}/{recipe}/clips.json", cut)


def taken_in(store, names):
    """Put a video a name into a shelf, as ingested and cut to one clip."""
    for name in names:
        video = hashlib.sha256(name.encode()).hexdigest()
        cut_into(store, video, store.clips(video, 1, "r"), name)


def grown(shelf, uri, size_bytes, monkeypatch, *, is_read=False):
    """Let an object be listed as this large; it must not be read, unless the test says so."""
    stat, read_bytes = shelf.stat, shelf.read_bytes

    def read(wanted):
        assert wanted != uri or is_read, "the large object was read"
        return read_bytes(wanted)

    monkeypatch.setattr(shelf, "stat", lambda at: replace(stat(at), size_bytes=size_bytes) if at == uri else stat(at))
    monkeypatch.setattr(shelf, "read_bytes", read)

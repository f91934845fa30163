"""A store in memory, and clips in it."""

import hashlib
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock

from tasks.errors import MissingObject
from tasks.options import EvaluateOptions, GateOptions, LabelOptions, PredictOptions, SegmentOptions, SplitOptions, TrainOptions, Weights
from tasks.results.dataset import ClassRef, DatasetClip, Manifest, Vocabulary
from tasks.results.prediction import Predictor, PredictPlanResult
from tasks.results.training import PlanResult, TrainResult, WeightsResult
from tasks.results.video import ClipRecord, ClipsFile, VideoRecord
from tasks.store.objects import Store, StoredObject

RUN = "s3://retake/runs/0123/"


def filmed(ffmpeg, path, seconds=1):
    """A moving picture."""
    source = ["-f", "lavfi", "-i", f"testsrc2=s=320x240:r=30:d={seconds}", "-pix_fmt", "yuv420p"]
    subprocess.run([ffmpeg, "-nostdin", "-loglevel", "error", "-y", *source, path], check=True)
    return path


def train_result(checkpoint_uri, sha256, **changes):
    """A training that ended with this checkpoint."""
    result = TrainResult(
        checkpoint_uri=checkpoint_uri,
        checkpoint_sha256=sha256,
        best_epoch=0,
        best_val_loss=1,
        epochs=(),
        stopped_early=False,
        seconds=1,
        mlflow_run_id="r",
        mlflow_run_url="u",
        hardware={},
    )
    return result.model_copy(update=changes)


def weights_result(**changes):
    """A small network in the folder of its run, to start from."""
    weights = WeightsResult(
        network="TSN test_resnet rgb, 2 segments",
        backbone="test_resnet",
        weights=Weights.NONE,
        uri=f"{RUN}c.ckpt",
        sha256="0" * 64,
        description="none",
        is_chance=True,
    )
    return weights.model_copy(update=changes)


def plan_result(evaluations=(), sha256="0" * 64, **changes):
    """The plan of a small network that starts from a checkpoint in the folder of its run."""
    plan = PlanResult(
        run_key="0123",
        run_uri=RUN,
        dataset_uri="s3://retake/datasets/x/",
        dataset_digest="x",
        train=TrainOptions(backbone="test_resnet", num_segments=2),
        evaluate=EvaluateOptions(),
        gate=GateOptions(),
        decision_uri=f"{RUN}decisions/d/",
        num_champions=0,
        model_name="m",
        weights=weights_result(sha256=sha256),
        champion=None,
        evaluations=evaluations,
    )
    return plan.model_copy(update=changes)


def dataset_clip(uid="c", split="train", **changes):
    """A clip of a dataset, which shows somebody put meat."""
    kept = {"source": "a", "names": ("a.mp4",), "video": "0" * 64, "uri": f"s3://retake/clips/{uid}.mp4", "sha256": uid}
    shown = {"start_seconds": 0, "stop_seconds": 8, "num_frames": 240, "width": 320, "height": 240}
    action = {"verb": "put", "noun": "meat", "verb_class": 1, "noun_class": 26, "origin": "folder"}
    return DatasetClip(**{"uid": uid, "split": split, **kept, **shown, **action} | changes)


def words(verbs, nouns):
    """A vocabulary of these names by their ids."""
    lists = [tuple(ClassRef(id=class_id, name=name) for class_id, name in named.items()) for named in (verbs, nouns)]
    return Vocabulary(verbs=lists[0], nouns=lists[1])


def manifest_of(clips, vocabulary=None, **changes):
    """A dataset of these clips."""
    manifest = Manifest(
        recipe="r",
        segment=SegmentOptions(),
        label=LabelOptions(),
        split=SplitOptions(),
        vocabulary=vocabulary or words({1: "put"}, {26: "meat"}),
        clips=tuple(clips),
        excluded=(),
        warnings=(),
    )
    return manifest.model_copy(update=changes)


def predictor(label, checkpoint_uri="", checkpoint_sha256="", **known):
    """A network that predicts, with logits as they are."""
    temperatures = {"verb_temperature": 1, "noun_temperature": 1, "is_calibrated": False, "calibration": ""}
    return Predictor(
        **{
            "label": label,
            "description": "",
            "checkpoint_uri": checkpoint_uri,
            "checkpoint_sha256": checkpoint_sha256,
            "flows": (),
            **temperatures,
            **known,
        }
    )


def predict_plan(model, against=None, **known):
    """The plan of a prediction by one network or two."""
    return PredictPlanResult(
        **{
            "key": "p",
            "prediction_uri": "s3://retake/predictions/p/",
            "store": "s3://retake",
            "segment": SegmentOptions(),
            "evaluate": EvaluateOptions(crops=1),
            "predict": PredictOptions(),
            "model": model,
            "against": against,
            "missing": (),
            "run_uri": None,
            "model_dataset_uri": None,
            "dataset_uris": (),
            "set_aside": (),
            "num_videos": 2,
            "batches": (),
            **known,
        }
    )


class Shelf(Store):
    """Objects by their address; `clips` puts the same film there again and again, under hashes of their own."""

    creating = Lock()

    def __init__(self, clip_bytes=b""):
        self.objects = {}
        self.clip_bytes = clip_bytes

    def ensure_bucket(self, uri):
        pass

    def stat(self, uri):
        """As from a server that keeps no times."""
        data = self.objects.get(uri)
        return None if data is None else StoredObject(uri, hashlib.sha256(data).hexdigest(), len(data), "None")

    def list(self, prefix_uri):
        return iter([self.stat(uri) for uri in sorted(self.objects) if uri.startswith(prefix_uri)])

    def folders(self, folder_uri):
        rests = [uri.removeprefix(folder_uri) for uri in self.objects if uri.startswith(folder_uri)]
        return tuple(sorted({f"{folder_uri}{rest.split('/')[0]}/" for rest in rests if "/" in rest}))

    def read_bytes(self, uri):
        if uri not in self.objects:
            raise MissingObject(f"{uri} is not in the store")
        return self.objects[uri]

    def write_bytes(self, uri, data):
        self.objects[uri] = data

    def read_file(self, uri, path):
        Path(path).write_bytes(self.read_bytes(uri))

    def write_file(self, uri, path):
        self.write_bytes(uri, Path(path).read_bytes())

    def create_bytes(self, uri, data):
        with self.creating:
            if uri in self.objects:
                return False
            self.write_bytes(uri, data)
            return True

    def remove(self, uri):
        del self.objects[uri]

    def clips(self, video, num_clips, recipe="recipe"):
        made = []
        for number in range(num_clips):
            uri = f"s3://retake/clips/{video}/{recipe}/{number:04d}.mp4"
            self.write_bytes(uri, self.clip_bytes)
            made.append(
                ClipRecord(
                    uid=f"{video[:12]}_{number:04d}",
                    video=video,
                    index=number,
                    uri=uri,
                    sha256=f"{video[:56]}{number:08x}",
                    size_bytes=len(self.clip_bytes),
                    start_seconds=float(number),
                    stop_seconds=float(number + 1),
                    num_frames=30,
                    width=320,
                    height=240,
                    has_audio=False,
                )
            )
        return tuple(made)


class Dated(Shelf):
    """A store that keeps times: each write is a second after the one before, from nine o'clock on."""

    def __init__(self, clip_bytes=b""):
        super().__init__(clip_bytes)
        self.now, self.written = datetime(2026, 11, 27, 9, tzinfo=UTC), {}

    def copy(self):
        made = Dated(self.clip_bytes)
        made.objects, made.now, made.written = dict(self.objects), self.now, dict(self.written)
        return made

    def stat(self, uri):
        stored = super().stat(uri)
        return stored and replace(stored, modified=self.written[uri])

    def write_bytes(self, uri, data):
        super().write_bytes(uri, data)
        self.now += timedelta(seconds=1)
        self.written[uri] = str(self.now)


def recorded(video, name="a.mp4"):
    """What probing wrote of a video."""
    return VideoRecord(
        video=video,
        uri=f"s3://retake/videos/{video}/source.mp4",
        size_bytes=1,
        names=(name,),
        container="mp4",
        codec="h264",
        pixel_format="yuv420p",
        width=320,
        height=240,
        rotation_degrees=0,
        fps=30,
        duration_seconds=8,
        has_audio=False,
        is_hdr=False,
        video_index=0,
    )


def taken_in(store, names):
    """Put a video a name into a shelf, as ingested and cut to one clip."""
    for name in names:
        video = hashlib.sha256(name.encode()).hexdigest()
        store.write(f"s3://retake/videos/{video}/probe.json", recorded(video, name))
        clips = ClipsFile(
            video=video,
            recipe="r",
            options=SegmentOptions(),
            clips=store.clips(video, 1, "r"),
            dropped_seconds=0,
            warnings=(),
            set_aside=None,
        )
        store.write(f"s3://retake/clips/{video}/r/clips.json", clips)


def grown(shelf, uri, size_bytes, monkeypatch):
    """Let an object be listed as this large; it must not be read."""
    stat, read_bytes = shelf.stat, shelf.read_bytes

    def read(wanted):
        assert wanted != uri, "the large object was read"
        return read_bytes(wanted)

    monkeypatch.setattr(
        shelf, "stat", lambda at: replace(stat(at), size_bytes=size_bytes, modified="2026-11-27T10:00:00+00:00") if at == uri else stat(at)
    )
    monkeypatch.setattr(shelf, "read_bytes", read)

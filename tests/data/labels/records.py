"""Records of clips and videos of which a test names only the fields that it is about."""

import hashlib
import io
import zipfile

from tasks.data.clips.stored_clips import clip_uid
from tasks.store.records.dataset import DatasetClip
from tasks.store.records.video import ClipRecord, VideoRecord

INTERVALS = "video,start_seconds,stop_seconds,verb,noun\n"


def video_of(name):
    return hashlib.sha256(name.encode()).hexdigest()


def clip_record(video, index=0, **given):
    """The clip of the `index`-th 8 s."""
    start, stop = 8 * index, 8 * index + 8
    known = {"uid": clip_uid(video, start, stop), "video": video, "index": index, "start_seconds": start, "stop_seconds": stop}
    stored = {"uri": f"s3://retake/clips/{video}/recipe/{index:04d}.mp4", "sha256": video_of(f"{video}{index}"), "size_bytes": 1000}
    return ClipRecord(**known | stored | {"num_frames": 240, "width": 320, "height": 180, "has_audio": True} | given)


def video_record(video, **given):
    stored = {"video": video, "uri": f"s3://retake/videos/{video}/source.mp4", "size_bytes": 1, "names": ("film.mp4",)}
    format_of_file = {"container": "mp4", "codec": "h264", "pixel_format": "yuv420p", "width": 1280, "height": 720, "rotation_degrees": 0}
    return VideoRecord(**stored | format_of_file | {"fps": 30, "duration_seconds": 8, "has_audio": False} | given)


def dataset_clip(uid, split="val", **given):
    """A clip of a film of its own, labelled `put meat`."""
    known = {"uid": uid, "split": split, "source": f"film of {uid}", "names": (), "video": uid, "uri": f"s3://retake/{uid}", "sha256": uid}
    shown = {"start_seconds": 0, "stop_seconds": 8, "num_frames": 240, "width": 320, "height": 180}
    labelled = {"verb": "put", "noun": "meat", "verb_class": 1, "noun_class": 26, "origin": "test"}
    return DatasetClip(**known | shown | labelled | given)


def zipped(files, compression=zipfile.ZIP_DEFLATED):
    """An archive of files, name to content."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", compression, compresslevel=1) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def actions(labelling):
    return [clip.action for clip in labelling.clips]


def reasons(labelling):
    return [f"{problem.place}: {problem.reason}" for problem in labelling.problems]

"""Row `windows`: what it costs to say when an action happens, by windows that overlap."""

import os
from itertools import count
from pathlib import Path

from tasks.data.clips.frame_cache import passing_frames
from tasks.keys import file_sha256
from tasks.learn.networks.checkpoints import save
from tasks.options import EvaluateOptions, PredictOptions
from tasks.pipeline.predict_videos._engines import make_ready
from tasks.pipeline.predict_videos._one_video import Work, predict_video
from tasks.store.records.prediction import PredictedVideo
from tests.bench.material import CLASSES, cut_up, drawn, emptied, network
from tests.bench.measure import Measure, Row, alternate, processor_seconds
from tests.data.labels.records import clip_record
from tests.pipeline.shelf import Shelf, predict_plan, predictor

BENCH = "s3://bench/"
CLIP_SECONDS = 8.0
STRIDES = {"a whole clip": CLIP_SECONDS, "half a clip": CLIP_SECONDS / 2, "a quarter of a clip": CLIP_SECONDS / 4}
VIDEO = PredictedVideo(video="0" * 64, name="film.mp4")


def windows(folder: Path, quick: bool) -> list[Row]:
    """Processor seconds of a video of 80 s by a frozen backbone, from its clips in the store to the answers in the store."""
    backbone, num_clips, repetitions = ("test_resnet", 2, 1) if quick else ("tf_efficientnet_lite0", 10, 7)
    os.environ |= {"RETAKE_CACHE_DIR": str(folder / "cache"), "RETAKE_DEVICE": "cpu"}
    (film,) = cut_up(drawn(folder / "film.mp4", seconds=CLIP_SECONDS), folder)
    store, numbers = Shelf(buckets=("bench",)), count()
    store.write_file(f"{BENCH}film.mp4", film.path)
    save(folder / "model", network(backbone), CLASSES)
    store.write_file(f"{BENCH}model", folder / "model")
    model = predictor("model", f"{BENCH}model", file_sha256(folder / "model"))
    alike = {"uri": f"{BENCH}film.mp4", "width": film.width, "height": film.height}
    clips = [clip_record(VIDEO.video, number, uid=f"{number:064x}", sha256=f"{number:064x}", **alike) for number in range(num_clips)]
    places = {"prediction_uri": BENCH, "store": BENCH[:-1], "num_videos": 1}

    def measured(stride: float) -> Measure:
        chosen = PredictOptions(stride_seconds=stride)
        planned = predict_plan(model, None, evaluate=EvaluateOptions(crops=1), predict=chosen, **places)

        def measure() -> float:
            plan = planned.model_copy(update={"prediction_uri": f"{BENCH}{next(numbers)}/"})
            with passing_frames() as frames:
                before = processor_seconds()
                predict_video(Work(plan, None, emptied(folder / "work"), frames, store), {"model": ready}, VIDEO, clips)
                return processor_seconds() - before

        return measure

    with passing_frames() as frames:
        ready = make_ready(model, clips, (), wanted="auto", num_crops=1, store=store, frames=frames)
    variants = {name: measured(stride) for name, stride in STRIDES.items()}
    variants["a whole clip"]()
    title, values = f"A video of {num_clips} clips, a window every so often, {backbone}", alternate(variants, repetitions)
    how = "Processor time of one video in `predict`, its decoding processes included: 8 segments, one crop, the engine as chosen."
    return [Row("windows", title, "s", values, "a whole clip", "a quarter of a clip less than 1.5 x", how=how)]

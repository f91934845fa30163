"""A store in memory with clips to label, and the page on it for people who are known by a cookie."""

import hashlib
import runpy
from collections.abc import Sequence
from fnmatch import fnmatchcase
from itertools import count
from typing import Annotated, get_args

import pyarrow as pa
from fastapi import Cookie, HTTPException
from starlette.testclient import TestClient

from tasks.data.clips.label_inputs import write_blocks
from tasks.data.clips.stored_clips import clip_uid
from tasks.errors import BadConfiguration
from tasks.judge.statistics.answers import encode
from tasks.local.home_folder import REPOSITORY
from tasks.options import SegmentOptions
from tasks.pages.label.app import Person, make_app
from tasks.pages.label.page_data import PageData
from tasks.store.layout import Clips, Layout
from tasks.store.objects import Store
from tasks.store.records.evaluation import DoubtfulLabel, EvaluateResult, LabelAudit, TargetMetrics
from tasks.store.records.labelling import ClipStatement, LogEntry
from tasks.store.records.record import SplitName
from tasks.store.records.training import Evaluation
from tasks.store.records.video import ClipsFile
from tasks.store.run_layout import Scores
from tests.data.labels.records import clip_record
from tests.pipeline.shelf import RUN, Shelf, plan_result, recorded
from tests.records import some

STORE = "s3://retake"
ACTIONS = (("put", "meat"), ("take", "bag"), ("move", "sauce"), ("put", "potato"))
MAY_LOOK = "vera"
"""The person who may look, but not label."""
WRITE = {"x-retake": "label"}


class PageStore(Shelf):
    """A shelf with these objects."""

    def __init__(self, objects=()):
        super().__init__()
        self.objects = dict(objects)


class PagesKeys(Shelf):
    """A store that is open to the keys of the page in containers."""

    def _check(self, action, uri):
        statements = runpy.run_path(str(REPOSITORY / "docker" / "worker" / "set_up_store.py"))["label_policy"]("retake")["Statement"]
        allowed = [place for statement in statements if action in statement["Action"] for place in statement["Resource"]]
        if not any(fnmatchcase(uri.replace("s3://", "arn:aws:s3:::"), place) for place in allowed):
            raise BadConfiguration(f"the object store refuses the keys for {uri}")

    def stat(self, uri):
        self._check("s3:GetObject", uri)
        return super().stat(uri)

    def list(self, prefix_uri):
        return iter([Shelf.stat(self, uri) for uri in sorted(self.objects) if uri.startswith(prefix_uri)])

    def read_bytes(self, uri):
        self._check("s3:GetObject", uri)
        return super().read_bytes(uri)

    def write_bytes(self, uri, data):
        self._check("s3:PutObject", uri)
        super().write_bytes(uri, data)


def list_clips(
    store: Store, films: Sequence[str], names: Sequence[str], num_clips: int, options: SegmentOptions, store_uri: str = STORE
) -> list[ClipsFile]:
    """List videos with these names as cut into clips, whose files are those of `films` again and again."""
    layout, seconds = Layout(store_uri), options.clip_seconds
    recipe, files = f"{seconds:g}", []
    for name in names:
        video = hashlib.sha256(name.encode()).hexdigest()
        clips = tuple(
            clip_record(
                video,
                number,
                uid=clip_uid(video, seconds * number, seconds * (number + 1)),
                uri=films[number % len(films)],
                start_seconds=seconds * number,
                stop_seconds=seconds * (number + 1),
                num_frames=round(seconds * options.fps),
            )
            for number in range(num_clips)
        )
        files.append(ClipsFile(video=video, recipe=recipe, options=options, clips=clips, dropped_seconds=0, warnings=(), set_aside=None))
        store.write(layout.video(video).probe, recorded(video, name))
        store.write(Clips(f"{layout.clips_of(video)}{recipe}/"), files[-1])
    return files


def suggest(store: Store, cuts: Sequence[ClipsFile], actions: Sequence[tuple[str, str]] = ACTIONS, store_uri: str = STORE) -> None:
    """Write the tables of a prediction: each clip with two suggestions, the first two clips of each video to be labelled first."""
    rows, listed = [], []
    for of_video in cuts:
        for number, clip in enumerate(of_video.clips):
            for rank in (1, 2):
                verb, noun = actions[(number // 4 + rank - 1) % len(actions)]
                likely = dict.fromkeys(("verb_probability", "action_probability"), 0.9 / rank - 0.01 * (number % 10))
                rows.append({"uid": clip.uid, "network": "champion", "rank": rank, "verb": verb, "action": f"{verb} {noun}"} | likely)
            if number < 2:
                listed.append({"uid": clip.uid, "reason": "the model is unsure: put meat 38 %, take bag 35 %"})
    report = Layout(store_uri).prediction("test").report
    store.write_bytes(report.table_rows, encode(pa.Table.from_pylist(rows)))
    store.write_bytes(report.to_label_rows, encode(pa.Table.from_pylist(listed)))
    store.write_bytes(report.uri, b"{}")


def audit(store: Store, labels: Sequence[DoubtfulLabel], number: int = 0) -> None:
    """Write the plan of a training that val decides on, and its scores with an audit that finds these labels doubtful."""
    train, val, test = (
        Evaluation(model="fine-tuned", split=split, out=f"{RUN}evaluate/{number}/fine-tuned/{split}/") for split in get_args(SplitName)
    )
    store.write(Layout(STORE).latest_plan, plan_result((train, val, test), deciding_split="val"))
    store.write(Scores(val.out), scored(LabelAudit(num_clips=9, doubtful=tuple(labels))))


def scored(audit: LabelAudit | None) -> EvaluateResult:
    metrics = some(TargetMetrics, top1_interval=(0, 1))
    return some(EvaluateResult, verb=metrics, noun=metrics, action=metrics, audit=audit)


def write_many(store: Store, films: Sequence[str], store_uri: str = STORE) -> None:
    """Write 20,000 clips of 250 videos, with suggestions, and 5,000 labels by three people."""
    cuts = list_clips(store, films, [f"{number:03}.mp4" for number in range(250)], 80, SegmentOptions(), store_uri)
    suggest(store, cuts, [(f"verb{number % 30}", f"noun{number % 80}") for number in range(200)], store_uri)
    clips = [clip for of_video in cuts for clip in of_video.clips[-20:]]
    entries = [
        LogEntry(
            statement=ClipStatement(
                token=f"token-{number:08d}",
                by=("berta", "cleo", "dora")[number % 3],
                at="2026-01-01T00:00:00Z",
                answer="action",
                verb=f"verb{number % 30}",
                noun=f"noun{number % 80}",
                **{name: getattr(clip, name) for name in ("video", "uid", "start_seconds", "stop_seconds")},
            )
        )
        for number, clip in enumerate(clips)
    ]
    write_blocks(store, store_uri, entries)


def person(who: Annotated[str | None, Cookie()] = None) -> Person:
    """Know people by their cookie."""
    if who is None:
        raise HTTPException(401, "not logged in")
    return Person(who, who != MAY_LOOK)


class Visitor:
    """A person without a browser, at a process of the server's own."""

    def __init__(self, store: Store, name: str | None = "anna", store_uris: Sequence[str] = (STORE,)) -> None:
        stores = [PageData(store, uri, now=iter(range(10**6)).__next__) for uri in store_uris]
        for data in stores:
            data._read_view()
        self.client = TestClient(make_app(stores, person, second_share=1), headers={"cookie": f"who={name}"} if name else {})
        self.number = count()
        self.name = name

    def get(self, path: str, **query):
        answer = self.client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, headers=WRITE, **fields):
        return self.client.post("/statements", json={"token": f"{self.name}-{next(self.number):08d}", **fields}, headers=headers)

    def say(self, uid: str, words: str | None, **fields) -> None:
        verb, _, noun = (words or "").partition(" ")
        about = {"answer": "action", "verb": verb, "noun": noun} if words else {}
        answer = self.post(kind="clip", uid=uid, **(about | fields))
        assert answer.status_code == 200, answer.text

    def mark(self, video: str, start: float, stop: float, words: str) -> None:
        verb, noun = words.split()
        answer = self.post(kind="interval", video=video, start_seconds=start, stop_seconds=stop, verb=verb, noun=noun)
        assert answer.status_code == 200, answer.text

    def queue(self, **query):
        return self.get("/queue", limit=50, **query)["clips"]

"""The labelling page on a real S3 server: two processes write at once, and the step `label` reads what people said."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from tasks.data.video.ffmpeg import find_ffmpeg
from tasks.store.layout import Layout
from tests.films.samples import make_samples
from tests.integration.workshop import RECIPE
from tests.pages.label.page import Visitor

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

PAGE_STORE = "s3://retake-page"


def test_people_at_two_processes_get_different_clips_and_lose_nothing(workshop, tmp_path):
    make_samples(tmp_path / "films", seed=0, num_videos=2, video_seconds=16, ffmpeg=find_ffmpeg(None))
    (tmp_path / "films" / "intervals.csv").unlink()
    workshop.ingest(PAGE_STORE, tmp_path / "films")
    for listed in list(workshop.store.list(f"{PAGE_STORE}/label_log/")):
        workshop.remove(listed.uri)

    def visit(name: str) -> Visitor:
        return Visitor(workshop.store, name, (PAGE_STORE,))

    anna, ben = visit("anna"), visit("ben")
    first, second = ({clip["uid"] for clip in visitor.get("/queue", limit=2)["clips"]} for visitor in (anna, ben))
    uids = sorted(first | second)
    assert len(uids) == 4
    assert anna.client.get(f"/clips/{uids[0]}.mp4").content[4:8] == b"ftyp"
    said = [(visitor, uid, words) for uid in uids for visitor, words in ((anna, "put meat"), (ben, "take bag"), (anna, "move pan"))]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda visitor, *words: visitor.say(*words), *zip(*said, strict=True)))
    statements = [statement for row in visit("cleo").get("/review")["rows"] for statement in row["statements"]]
    assert sorted(statement["by"] for statement in statements) == ["anna"] * 8 + ["ben"] * 4
    assert anna.post(kind="class", target="verb", name="move", same_as="shift").status_code == 200
    for uid in uids:
        anna.say(uid, "move pan")
    workshop.run("label", store=PAGE_STORE)
    clips = json.loads(workshop.store.read_bytes(Layout(PAGE_STORE).labels(RECIPE).clips.uri))["clips"]
    assert [(labelled["verb"], labelled["noun"]) for labelled in clips] == [("shift", "pan")] * 4

"""Videos of web pages. `youtube_page.json` was written by hand after yt-dlp's list of fields."""

import json
import socket
from pathlib import Path

import pytest

from tasks.data.clips import web_reader, web_video
from tasks.data.clips.sources import IncomingFile, incoming_files
from tasks.data.clips.web_reader import answer_to, listing_of, page_of, reason_to_refuse
from tasks.data.clips.web_video import Job, download_video, listed_videos
from tasks.data.video.child import run_child
from tasks.errors import BadConfiguration, BadInput, Unavailable
from tasks.options import IngestOptions
from tests.pipeline.shelf import Shelf
from tests.web_site import read_in_process, site

PAGE = json.loads(Path(__file__).with_name("youtube_page.json").read_text())
FILM = bytes(range(256)) * 100


@pytest.fixture
def kitchen(monkeypatch, tmp_path):
    read_in_process(monkeypatch, tmp_path / "cache")
    with site({"grill": FILM, "fryer": FILM[::-1]}) as server:
        yield server


def address_of(server, name="grill"):
    return f"http://{server.host}/watch/{name}"


def own(server, **options):
    return IngestOptions(own_channels=[server.host], **options)


def test_a_page_of_creative_commons_is_taken_and_credited():
    assert reason_to_refuse(PAGE, IngestOptions()) is None
    page = page_of(PAGE)
    assert (page.title, page.author, str(page.published_on)) == ("A day at the grill", "Street Kitchen", "2019-05-01")
    assert (page.address, page.licence) == (PAGE["webpage_url"], PAGE["license"])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"license": None}, r"names no licence, .*ask its author .*own_channels if it is yours \(here: @streetkitchen, UCabc"),
        ({"license": "Standard YouTube License"}, "names the licence 'Standard YouTube License', and only Creative Commons"),
        ({"live_status": "is_live"}, "it is live; take it once it has ended"),
        ({"live_status": "is_upcoming"}, "it has not begun"),
        ({"live_status": "post_live"}, "its recording is not ready"),
        ({"duration": 14_401}, "240 minutes long; at most 240 are allowed: raise max_video_minutes"),
        ({"filesize_approx": 5 << 30}, "larger than 4 GiB; raise max_video_mib"),
        ({"_type": "playlist"}, "several videos inside a list; name it as a source"),
    ],
)
def test_metadata_that_does_not_allow_it_is_refused_with_what_to_do(changes, told):
    with pytest.raises(AssertionError, match=told):
        raise AssertionError(reason_to_refuse(PAGE | changes, IngestOptions()))


@pytest.mark.parametrize("channel", ["@streetkitchen", PAGE["channel_id"], PAGE["channel_url"], PAGE["uploader_url"]])
def test_an_own_channel_and_no_name_that_anybody_can_take_needs_no_licence_and_none_is_made_up(channel):
    unlicensed = PAGE | {"license": "Standard YouTube License"}
    assert reason_to_refuse(unlicensed, IngestOptions(own_channels=[channel])) is None
    assert page_of(unlicensed).licence is None
    for taken_by_anybody in ("Street Kitchen", "www.youtube.com", "streetkitchen", ""):
        assert reason_to_refuse(unlicensed, IngestOptions(own_channels=[taken_by_anybody]))


def read_by_yt_dlp(info):
    with web_reader.yt_dlp_for(Job(address="", folder=None, options=IngestOptions(), allow_private=False)) as reader:
        return reader.process_ie_result(info, download=False)


@pytest.mark.parametrize(("left_out", "chosen"), [((), "18"), (("18",), "137"), (("18", "137", "248"), "313")])
def test_the_file_with_sound_is_chosen_else_the_best_picture_of_no_more_than_1080_lines(left_out, chosen):
    info = PAGE | {"formats": [known for known in PAGE["formats"] if known["format_id"] not in left_out]}
    assert read_by_yt_dlp(info)["format_id"] == chosen


def test_a_live_page_is_refused_as_live_though_it_has_no_file():
    live = PAGE | {"live_status": "is_live", "formats": PAGE["formats"][-1:]}
    assert reason_to_refuse(read_by_yt_dlp(live), IngestOptions()) == "it is live; take it once it has ended"


@pytest.mark.parametrize(
    "address", ["file:///etc/passwd", "ytsearch5:kitchen", "ZUr3DxYyTqI", "https://me:geheim@example.org/a", "http://"]
)
def test_only_a_plain_web_address_is_a_page(tmp_path, monkeypatch, address):
    monkeypatch.setenv("RETAKE_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(web_video, "PAUSE_SECONDS", 0)
    (video,) = listed_videos(f"web:{address}")
    with pytest.raises(BadInput, match=r"is no address of a page; write web:https://…, without a user") as caught:
        download_video(video.address, tmp_path / "film", IngestOptions())
    assert "geheim" not in str(caught.value)


def test_a_list_is_offered_video_by_video(kitchen):
    listed = list(listed_videos(f"web:http://{kitchen.host}/feed"))
    assert [(video.name, video.address) for video in listed] == [(name, address_of(kitchen, name)) for name in ("grill", "fryer")]


def test_a_short_of_a_tab_is_listed_by_the_address_of_its_page():
    tab = {"_type": "playlist", "entries": [{"id": "ZUr3DxYyTqI", "url": "https://www.youtube.com/shorts/ZUr3DxYyTqI"}]}
    (video,) = listing_of(tab, "").videos
    assert video.address == "https://www.youtube.com/watch?v=ZUr3DxYyTqI"


@pytest.mark.parametrize(("id_", "name"), [("../../etc/passwd", "passwd"), (".hidden", "_hidden"), ("a b\n", "a_b_"), ("x.csv", "x.csv")])
def test_an_id_becomes_a_plain_name_and_never_an_annotation_file(monkeypatch, id_, name):
    listing = listing_of(PAGE | {"id": id_}, "")
    monkeypatch.setattr(web_video, "_answer", lambda job: listing.model_dump_json())
    (offer,) = incoming_files(["web:https://www.youtube.com/watch?v=x"], "s3://retake", None)
    assert (offer.name, offer.is_annotation) == (name, False)


def test_an_address_with_a_time_means_the_whole_video_and_says_so(monkeypatch, caplog):
    listing = listing_of(PAGE | {"start_time": 83.0}, "")
    monkeypatch.setattr(web_video, "_answer", lambda job: listing.model_dump_json())
    (video,) = listed_videos("web:https://youtu.be/ZUr3DxYyTqI?t=83")
    assert video.address == PAGE["webpage_url"]
    assert "ZUr3DxYyTqI: its address names a part, and the whole video is taken" in caplog.text


def test_nothing_is_downloaded_before_the_licence_is_known(kitchen, tmp_path):
    with pytest.raises(BadInput, match=rf"names no licence.*\(here: {kitchen.host}\)"):
        download_video(address_of(kitchen), tmp_path / "film", IngestOptions())
    assert [path.name for path in (tmp_path / "cache" / "web").iterdir()] == ["lock"]


def test_an_interrupted_download_goes_on_where_it_ended(kitchen, tmp_path):
    kitchen.cut_bytes = len(FILM) // 5
    with pytest.raises(BadInput, match="download it by other means"):
        download_video(address_of(kitchen), tmp_path / "film", own(kitchen))
    (part,) = (tmp_path / "cache").rglob("*.part")
    kept_bytes, kitchen.cut_bytes = part.stat().st_size, None
    kitchen.requests.clear()
    page = download_video(address_of(kitchen), tmp_path / "film", own(kitchen))
    assert (tmp_path / "film").read_bytes() == FILM
    assert ("/films/grill.mp4", f"bytes={kept_bytes}-") in kitchen.requests
    assert (page.title, page.author, page.licence) == ("Kitchen grill", "Ann", None)
    assert [path.name for path in (tmp_path / "cache" / "web").iterdir()] == ["lock"]


def test_a_video_larger_than_it_said_is_stopped_and_not_kept(kitchen, tmp_path):
    kitchen.films["grill"] = bytes(3 << 20)
    with pytest.raises(BadInput, match="larger than 1 MiB; raise max_video_mib"):
        download_video(address_of(kitchen), tmp_path / "film", own(kitchen, max_video_mib=1))
    assert [path.name for path in (tmp_path / "cache" / "web").iterdir()] == ["lock"]


def test_a_full_disk_is_no_fault_of_the_page(kitchen, tmp_path, monkeypatch):
    kitchen.films["grill"] = bytes(1 << 20)
    monkeypatch.setattr("tasks.disk.shutil.disk_usage", lambda path: type("Usage", (), {"free": 0}))
    monkeypatch.setattr(web_reader, "_size_bytes", lambda info: 1 << 20)
    with pytest.raises(Unavailable, match=r"the disk is full .*set RETAKE_CACHE_DIR"):
        download_video(address_of(kitchen), tmp_path / "film", own(kitchen))


def test_no_connection_leads_into_a_private_network(kitchen, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", socket.getaddrinfo)
    web_reader.refuse_private_addresses()
    for host in ("127.0.0.1", "localhost"):
        with pytest.raises(BadInput, match=f"{host} is a private address; set RETAKE_ALLOW_PRIVATE_ADDRESSES=true"):
            answer_to(Job(address=f"http://{host}:9/", folder=None, options=IngestOptions(), allow_private=True))
    assert kitchen.requests == []


@pytest.mark.slow
@pytest.mark.parametrize(("allow", "told"), [("true", None), ("false", "No suitable extractor")])
def test_a_child_process_reads_other_sites_only_where_private_addresses_are_allowed(tmp_path, monkeypatch, allow, told):
    monkeypatch.setattr(web_video, "PAUSE_SECONDS", 0)
    monkeypatch.setenv("RETAKE_ALLOW_PRIVATE_ADDRESSES", allow)
    monkeypatch.setenv("RETAKE_CACHE_DIR", str(tmp_path / "cache"))
    with site({"grill": FILM}) as server:
        if told:
            with pytest.raises(BadInput, match=told):
                download_video(address_of(server), tmp_path / "film", own(server))
        else:
            download_video(address_of(server), tmp_path / "film", own(server))
            assert (tmp_path / "film").read_bytes() == FILM
        assert bool(server.requests) == (allow == "true")


def test_a_child_may_write_a_larger_file_than_others_do(tmp_path, monkeypatch):
    write = ["/usr/bin/truncate", "-s", "2K", str(tmp_path / "film")]
    monkeypatch.setattr(web_video, "run_child", lambda _, **limits: run_child(write, **{"max_file_bytes": 1024} | limits))
    job = Job(address="https://a.example/", folder=tmp_path, options=IngestOptions(max_video_mib=1), allow_private=False)
    assert web_video._answer(job) == ""


def test_without_yt_dlp_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(web_video, "find_spec", lambda name: None)
    with pytest.raises(BadConfiguration, match=r"pip install .*\[web\]"):
        list(incoming_files(["web:https://www.youtube.com/watch?v=x"], "s3://retake", None))


def test_a_page_is_one_video_whatever_it_serves_later_and_under_whichever_address(kitchen, film_of, taker, monkeypatch):
    kitchen.films["grill"] = film_of(1)
    shelf, page = Shelf(), f"web:{address_of(kitchen)}"

    def take(*offers, labels=True):
        intake = taker(shelf, labels=labels, own_channels=[kitchen.host])
        return [intake.take_video(offer) for offer in offers]

    first, again = take(*incoming_files([page, page], "s3://retake", shelf), labels=False)
    assert (first.reason, first.video) == (None, again.video)
    kitchen.films["grill"] += b"\0\0\0\x08free"
    (other,) = take(IncomingFile("grill", page.replace("/watch/", "/short/"), "", 0))
    assert other.video == first.video
    monkeypatch.setattr("tasks.data.clips.intake.download_video", lambda *_: pytest.fail("it is downloaded again"))
    (later,) = take(*incoming_files([page], "s3://retake", shelf))
    assert later.video == first.video
    (probe,) = (uri for uri in shelf.objects if uri.endswith("probe.json"))
    record = json.loads(shelf.objects[probe])
    assert "grill" in record["names"], "an ingest names a video that a prediction took in without a name"
    assert record["web_page"]["address"] == address_of(kitchen)

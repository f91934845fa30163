"""A bad file costs itself alone; annotation files are written again only where needed."""

import re
from pathlib import Path

import pytest

from tasks.data.clips.cut_videos import batch_size
from tasks.data.clips.intake import keep_annotations, to_write
from tasks.data.clips.label_inputs import MAX_ANNOTATION_BYTES
from tasks.data.clips.sources import IncomingFile, incoming_files
from tasks.errors import BadConfiguration, BadInput, Unavailable
from tasks.store.objects import to_json
from tasks.store.records.video import VideoRecord
from tests.http_servers import served
from tests.pipeline.shelf import Shelf


def offers_of(*sources):
    return list(incoming_files(sources, "s3://retake", None))


class Meanwhile(Shelf):
    """A store in which something else happens while a file is written."""

    def __init__(self, happens):
        super().__init__()
        self.happens = [happens]

    def write_file(self, uri, path):
        super().write_file(uri, path)
        while self.happens:
            self.happens.pop()()


@pytest.mark.parametrize("url", ["http://[::1/a.mp4", "http://[::1/labels.csv", "s3:///a.mp4", "s3://a"])
def test_a_malformed_address_is_an_offer_that_costs_itself(taker, url):
    (offer,) = offers_of(url)
    seen = taker().take_video(offer) if not offer.is_annotation else taker().take_annotation(offer, pytest.fail)
    assert url in seen.reason
    assert "\n" not in seen.reason


def test_the_secrets_of_an_address_are_in_no_record(taker):
    (offer,) = offers_of("http://me:geheim@a..b/x.mp4?X-Amz-Signature=geheim")
    assert "geheim" not in to_json(taker().take_video(offer)).decode()


@pytest.mark.parametrize("source", ["/no/such/folder", "~nobody-here/films", "a" * 5000, "a\0b", "/etc/passwd/x"])
def test_a_source_that_cannot_be_is_bad_input(source):
    with pytest.raises(BadInput, match=r"does not exist|cannot be accessed"):
        offers_of(source)


def test_a_link_is_not_followed_out_of_the_folder_that_was_named(taker, tmp_path):
    folder, secret = tmp_path / "films", tmp_path / "secret.csv"
    (folder / "inside").mkdir(parents=True)
    for file in (secret, folder / "inside" / "own.csv"):
        file.write_text("uid,verb,noun")
    outside = {
        "absolute.csv": secret,
        "inside/relative.csv": "../../secret.csv",
        "environment.csv": "/proc/self/environ",
        "elsewhere": tmp_path,
    }
    for name, target in {"own.csv": "inside/own.csv", **outside}.items():
        (folder / name).symlink_to(target)
    read = []

    def reasons_in(folder):
        return {offer.name: taker().take_annotation(offer, read.append).reason for offer in offers_of(str(folder))}

    refused = f"a link that leads out of {folder}; copy its target there"
    assert reasons_in(folder) == {"own.csv": None, "inside/own.csv": None, **dict.fromkeys(outside, refused)}
    assert read == [b"uid,verb,noun"] * 2
    (alone,) = offers_of(str(folder / "environment.csv"))
    assert taker().take_annotation(alone, pytest.fail).reason == refused
    (tmp_path / "link").symlink_to("films/inside")
    assert reasons_in(tmp_path / "link")["own.csv"] is None


def test_where_one_folder_is_set_nothing_outside_it_is_taken(tmp_path, monkeypatch):
    videos = tmp_path / "videos"
    (videos / "day").mkdir(parents=True)
    (videos / "day" / "a.mp4").touch()
    (videos / "out").symlink_to("/etc")
    monkeypatch.setenv("RETAKE_VIDEOS_DIR", str(videos))
    assert [offer.name for offer in offers_of(str(videos / "day"))] == ["a.mp4"]
    assert [offer.name for offer in offers_of(str(videos))] == ["day/a.mp4", "out"]
    out = videos / "out"
    for outside in (tmp_path, "/etc/hostname", videos / ".." / "videos2", out, out / "hostname", "/proc/self/environ"):
        with pytest.raises(BadInput, match=r"the only folder to take files from|does not exist"):
            offers_of(str(outside))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("a" * 246 + ".csv", "has 259 bytes, and 255 are the limit; rename the file"),
        ("\N{LATIN SMALL LETTER E WITH ACUTE}" * 123 + ".csv", "has 259 bytes"),
        ("a\\..\\b.csv", r"'\.\.' as the name of a folder"),
        ("a\x01.csv", r"'\\x01', which no object store can list"),
    ],
)
def test_an_annotation_file_whose_name_no_store_accepts_costs_itself(taker, tmp_path, name, told):
    shelf = Shelf()
    (tmp_path / "labels.csv").write_text("uid,verb,noun")
    offered = [IncomingFile(own, str(tmp_path / "labels.csv"), "", 13) for own in (name, "good.csv", "a" * 242 + ".csv")]
    bad, *good = keep_annotations(shelf, "s3://retake", taker(shelf), offered, {})
    assert re.search(told, bad.reason)
    assert [seen.reason for seen in good] == [None, None]
    assert len(shelf.objects) == 2


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://h/a/b%20c.csv", "b c.csv"),
        ("http://h/a/b%2Fc.csv", "c.csv"),
        ("http://h/a%00b.csv", "a%00b.csv"),
        ("http://h/x/a%0a%C3%A9.csv", "a%0a%C3%A9.csv"),
        ("http://h", "http://h"),
        ("http://me:pw@h?token=pw", "http://h?…"),
    ],
)
def test_a_file_of_an_address_has_a_name_that_can_be_written(url, name):
    (offer,) = offers_of(url)
    assert offer.name == name


@pytest.mark.parametrize("first", [True, False])
def test_the_name_that_labels_a_video_stays_when_a_prediction_takes_it_at_the_same_time(taker, tmp_path, film_of, first):
    (tmp_path / "v.mp4").write_bytes(film_of(1))
    offer = IncomingFile("put bag/v.mp4", str(tmp_path / "v.mp4"), "", len(film_of(1)))
    store = Meanwhile(lambda: taker(store, labels=not first).take_video(offer))
    seen = taker(store, labels=first).take_video(offer)
    record = store.read(f"s3://retake/videos/{seen.video}/probe.json", VideoRecord)
    assert "put bag/v.mp4" in record.names


def test_files_of_addresses_are_taken_and_one_that_is_not_there_costs_itself(taker, tmp_path, film_of):
    (tmp_path / "v.mp4").write_bytes(film_of(1))
    (tmp_path / "labels.csv").write_text("uid,verb,noun")
    shelf, read = Shelf(), []
    with served(tmp_path) as address:
        video, labels, missing = offers_of(*(f"{address}/{name}" for name in ("v.mp4", "labels.csv", "none.csv")))
        seen = taker(shelf).take_video(video)
        assert taker().take_annotation(labels, read.append).reason is None
        assert "404" in taker().take_annotation(missing, pytest.fail).reason
    assert shelf.read_bytes(shelf.read(f"s3://retake/videos/{seen.video}/probe.json", VideoRecord).uri) == film_of(1)
    assert read == [b"uid,verb,noun"]


def test_a_file_that_vanished_or_does_not_read_costs_itself(taker, tmp_path):
    gone, broken = IncomingFile("a.mp4", str(tmp_path / "a.mp4"), "", 9), IncomingFile("b.mp4", "/proc/self/mem", "", 9)
    assert taker().take_video(gone).reason == "the file cannot be read (No such file or directory)"
    assert taker().take_video(broken).reason == "the file cannot be read (Input/output error)"
    assert "cannot be read" in taker().take_annotation(gone, pytest.fail).reason


class Failing:
    """A store that cannot be read or asked."""

    def __init__(self, error):
        self.error = error

    def read_file(self, *_):
        if self.error is OSError:
            with Path("/dev/full").open("wb") as file:
                file.write(b"a")
        raise self.error

    def exists(self, uri):
        raise self.error


@pytest.mark.parametrize(
    ("error", "address", "raised", "told"),
    [
        (OSError, "s3://retake/inbox/a.mp4", Unavailable, r"a\.mp4: .*No space left on device.*set TMPDIR"),
        (BadConfiguration("refuses the keys"), "s3://retake/inbox/a.mp4", BadConfiguration, "refuses the keys"),
        (Unavailable("the object store does not answer"), __file__, Unavailable, "does not answer"),
    ],
    ids=["disk", "keys", "store that is down, local file"],
)
def test_a_fault_of_the_machine_or_the_store_sets_no_file_aside(taker, error, address, raised, told):
    with pytest.raises(raised, match=told):
        taker(Failing(error)).take_video(IncomingFile("a.mp4", address, "e", 9))


@pytest.mark.parametrize("error", [BadConfiguration("refuses the keys"), Unavailable("does not answer")])
def test_an_object_that_another_server_does_not_give_costs_itself_for_now(taker, error):
    seen = taker(Failing(error)).take_video(IncomingFile("a.mp4", "s3+nas://films/a.mp4", "e", 9))
    assert (seen.reason, seen.etag) == (str(error), "")


def test_an_object_that_is_too_large_is_not_downloaded(taker):
    seen = taker(max_video_mib=1).take_video(IncomingFile("a.mp4", "s3://retake/inbox/a.mp4", "e", (1 << 20) + 1))
    assert seen.reason == "larger than 1 MiB; raise max_video_mib to take it"
    seen = taker().take_annotation(IncomingFile("a.csv", "s3://retake/inbox/a.csv", "e", MAX_ANNOTATION_BYTES + 1), pytest.fail)
    assert "more than 64 MiB" in seen.reason


def test_a_name_that_is_not_utf8_is_spelled_so_that_it_can_be_written(taker, tmp_path):
    Path(f"{tmp_path}/caf\udce9.mp4").write_bytes(b"no video")
    (offer,) = offers_of(str(tmp_path))
    seen = taker(Shelf()).take_video(offer)
    assert seen.name == "caf\N{REPLACEMENT CHARACTER}.mp4"
    assert seen.reason.startswith("damaged")
    assert to_json(seen)


A, B, C, OTHER = "l-0000000a.csv", "l-0000000b.csv", "l-0000000c.csv", "m-0000000a.csv"


@pytest.mark.parametrize(
    ("kept", "wanted", "written"),
    [
        ([], [A], [A]),
        ([A], [A], []),
        ([A], [B], [B]),
        ([A, B], [A], [A]),
        ([A, OTHER], [A], []),
        ([A, "l.csv"], [A], []),
        ([A, B], [A, B], []),
        ([C, A, B], [A, B], []),
        ([A, B], [A, B, C], [C]),
        ([A, B], [B, A], [A]),
        ([A, B, C], [A, B], [A, B]),
        ([A, B], [OTHER, A], [OTHER, A]),
    ],
)
def test_the_wanted_files_become_the_latest_of_their_stem(kept, wanted, written):
    assert to_write(kept, wanted) == written


@pytest.mark.parametrize(
    ("num_videos", "size"), [(0, 1), (1, 1), (2, 1), (3, 2), (12, 6), (47, 24), (100, 24), (1536, 24), (1537, 25), (6400, 100)]
)
def test_batches_are_few_and_work_for_two_machines_at_least(num_videos, size):
    assert batch_size(num_videos) == size

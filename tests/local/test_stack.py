"""How a person's commands on this machine reach the stack in containers."""

import io
import os

import pytest

from tasks.local.progress import PlainScreen
from tasks.local.run import StackSettings, upload
from tasks.store.stored import Folder, check_key
from tests.pipeline.shelf import Shelf

SECRETS = "RETAKE_AIRFLOW_PASSWORD=a\nRETAKE_STORE_STEPS_ACCESS_KEY=b\nRETAKE_STORE_STEPS_SECRET_KEY=c\n"


@pytest.mark.parametrize(
    ("lines", "airflow", "store"),
    [
        ("", "http://127.0.0.1:8080", "127.0.0.1:9000"),
        ("RETAKE_AIRFLOW_PORT=1\nRETAKE_STORE_PORT=2", "http://127.0.0.1:1", "127.0.0.1:2"),
        ("RETAKE_BIND=10.0.0.5", "http://10.0.0.5:8080", "10.0.0.5:9000"),
        ("RETAKE_BIND=0.0.0.0", "http://127.0.0.1:8080", "127.0.0.1:9000"),
        ("RETAKE_STORE_ENDPOINT=minio:9000", "http://127.0.0.1:8080", "127.0.0.1:9000"),
        ("RETAKE_STORE_ENDPOINT=s3.example:443\nRETAKE_STORE_SECURE=true", "http://127.0.0.1:8080", "s3.example:443"),
        ("RETAKE_STORE_ENDPOINT=\nRETAKE_STORE_SECURE=\nRETAKE_BIND=", "http://127.0.0.1:8080", "127.0.0.1:9000"),
    ],
    ids=["as-written", "ports", "another-address", "every-address", "the-own-store-by-name", "another-store", "empty-lines"],
)
def test_the_stack_is_where_its_env_file_says(lines, airflow, store, tmp_path):
    env = tmp_path / ".env"
    env.write_text(SECRETS + lines)
    settings = StackSettings(_env_file=env)
    assert (settings.airflow_address, settings.store_address) == (airflow, store)


class Inbox(Shelf):
    """Refuses the names that every store refuses."""

    def write_file(self, uri, path):
        check_key(uri)
        self.objects[uri] = path.read_bytes()


def test_a_folder_is_put_into_the_inbox_without_what_lies_outside_it_or_no_store_takes(tmp_path):
    folder = tmp_path / "films"
    (folder / "put meat").mkdir(parents=True)
    (tmp_path / "secret.csv").write_text("key")
    (folder / "put meat" / "a.mp4").write_bytes(b"film")
    (folder / "b.csv").symlink_to("put meat/a.mp4")
    (folder / "c.csv").symlink_to(tmp_path / "secret.csv")
    (folder / "d").symlink_to(tmp_path)
    (folder / "e.csv").symlink_to("nowhere")
    os.mkfifo(folder / "f.mp4")
    (folder / "g\x01.mp4").touch()
    (folder / ".hidden").touch()
    (folder / ".git").mkdir()
    (folder / ".git" / "a.mp4").touch()
    (folder / os.fsdecode(b"h\xff.mp4")).touch()
    store, said = Inbox(), io.StringIO()
    assert upload(store, folder, Folder("s3://retake/inbox/films/"), PlainScreen(said)) == (3, 3)
    assert store.objects == {
        "s3://retake/inbox/films/b.csv": b"film",
        "s3://retake/inbox/films/h\N{REPLACEMENT CHARACTER}.mp4": b"",
        "s3://retake/inbox/films/put meat/a.mp4": b"film",
    }
    left_out = {line.split("left out: ")[1].split(": ")[0]: line for line in said.getvalue().splitlines() if "left out" in line}
    assert sorted(left_out) == ["c.csv", "d", "e.csv", "f.mp4", "g\N{REPLACEMENT CHARACTER}.mp4"]
    assert "leads out of" in left_out["c.csv"]
    assert "leads out of" in left_out["d"]
    assert "not a regular file" in left_out["f.mp4"]

"""A full disk is temporary, and reported in units for people; the next process removes a killed one's files."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from tasks import __main__ as program
from tasks import disk
from tasks.disk import WORK_PREFIX, CachedFile, cached_files, check_room, full_disk, unused, work_folder
from tasks.errors import BadConfiguration, BadInput, RetakeError, Unavailable
from tasks.settings import MachineSettings, load

HOLDS_A_FOLDER = """
import sys, tempfile
from pathlib import Path
from tasks.disk import own_temporary_folder
with own_temporary_folder():
    Path(tempfile.mkdtemp(), "frames").write_bytes(bytes(1000))
    print(tempfile.gettempdir(), flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A temporary folder of this test alone."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


@pytest.fixture
def end_of_a_step(root, monkeypatch):
    """How the program ends whose step raises an error."""

    def run(error):
        def fail(step, values, **_):
            raise error

        monkeypatch.setattr(program, "parse", lambda arguments: (SimpleNamespace(name="train"), {}))
        monkeypatch.setattr(program, "_run", fail)
        return program.main([])

    return run


@pytest.fixture
def holder(root):
    """A process that works in a folder of its own until it is killed."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS_A_FOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1], text=True
    ) as process:
        assert process.stdout
        yield process, Path(process.stdout.readline().strip())
        process.kill()


def test_files_of_a_killed_process_are_removed_by_the_next_and_those_of_others_are_not(root, holder):
    process, folder = holder
    own = root / "retake-films"
    own.mkdir()
    assert folder.parent == root
    with disk.own_temporary_folder():
        assert folder.is_dir()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert folder.is_dir()
    with disk.own_temporary_folder():
        assert not folder.exists()
    assert list(root.iterdir()) == [own]


def test_a_folder_goes_with_the_block_and_temporary_files_of_any_library_with_it(root):
    before = dict(os.environ), tempfile.gettempdir()
    with pytest.raises(ZeroDivisionError), disk.own_temporary_folder():
        made = Path(tempfile.mkdtemp())
        assert os.environ["TMPDIR"] == tempfile.gettempdir() != str(root)
        raise ZeroDivisionError
    assert not made.exists()
    assert (dict(os.environ), tempfile.gettempdir()) == before
    assert not list(root.iterdir())


def test_a_folder_that_was_taken_for_abandoned_before_it_was_locked_is_made_anew(root, monkeypatch):
    make = tempfile.mkdtemp
    made = []

    def make_and_lose(**options):
        made.append(make(**options))
        if len(made) < 3:
            Path(made[-1]).rmdir()
        return made[-1]

    monkeypatch.setattr(disk.tempfile, "mkdtemp", make_and_lose)
    with work_folder(root) as folder:
        assert folder.is_dir()
    assert len(made) == 3


def test_a_link_that_has_the_name_of_a_folder_is_left_alone(root):
    (root / "other").mkdir()
    (root / f"{disk.WORK_PREFIX}x").symlink_to("other")
    with work_folder(root):
        pass
    assert (root / "other").is_dir()


def test_a_file_that_finds_no_room_is_refused_with_both_numbers(root, monkeypatch):
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: disk.shutil._ntuple_diskusage(1, 1, 5 << 20))
    check_room(root / "a", 5 << 20)
    with pytest.raises(OSError, match="98 MiB are needed and 5 MiB are free") as caught:
        check_room(root / "a", 98 << 20)
    assert full_disk(caught.value) is caught.value


@pytest.mark.parametrize(("num_files", "is_full"), [(9, True), (0, False)])
def test_a_disk_without_inodes_is_full_unless_its_file_system_counts_none(root, monkeypatch, num_files, is_full):
    counted = SimpleNamespace(f_bavail=9, f_blocks=9, f_bfree=9, f_frsize=1, f_files=num_files, f_favail=0)
    monkeypatch.setattr(disk.os, "statvfs", lambda path: counted)
    check_room(root / "a", 0)
    with pytest.raises(OSError, match="no inodes are free") if is_full else nullcontext():
        check_room(root / "a", 1)


def covered() -> RuntimeError:
    """As torch raises in place of the error that it saw."""
    error = RuntimeError("unexpected pos 704 vs 598")
    error.__context__ = OSError(errno.ENOSPC, "No space left on device")
    return error


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full (No space left on device, "),
        (OSError(errno.EDQUOT, "Disk quota exceeded", "/scratch/best.pt"), "/scratch: the disk is full (Disk quota exceeded, "),
        (OSError(errno.ENOSPC, "98 MiB are needed and 5 MiB are free", "/scratch/a"), "(98 MiB are needed and 5 MiB are free); make room"),
        (covered(), "No space left on device"),
    ],
)
def test_a_step_that_fills_the_disk_is_tried_again(end_of_a_step, caplog, error, told):
    assert end_of_a_step(error) == Unavailable.exit_code
    line = caplog.messages[-1]
    assert (told in line, "are free" in line, "\n" in line) == (True, True, False), line


def test_the_folder_that_a_person_chose_is_named_and_not_one_inside_it(root):
    with pytest.raises(Unavailable, match=f"^{root}: the disk is full"), disk.own_temporary_folder():
        raise OSError(errno.ENOSPC, "No space left on device", tempfile.mkdtemp() + "/best.pt")


def test_other_errors_stay_what_they_are(end_of_a_step):
    assert end_of_a_step(PermissionError(errno.EACCES, "no")) == RetakeError.exit_code
    refusal = BadInput("a file cannot be used")
    refusal.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert end_of_a_step(refusal) == BadInput.exit_code


def test_no_temporary_folder_at_all_is_temporary(root, monkeypatch):
    def nowhere():
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(disk.tempfile, "gettempdir", nowhere)
    with pytest.raises(Unavailable, match="No usable temporary directory"), disk.own_temporary_folder():
        pass


DAY = 86_400


@pytest.mark.parametrize(
    ("used_days_ago", "max_bytes", "gone"),
    [([100, 50, 3, 1], 1000, [100]), ([100, 50, 3, 1], 20, [100, 50]), ([50, 3, 1], 10, [50, 3]), ([1, 0], 5, []), ([], 0, [])],
)
def test_the_least_recently_used_files_go_first_and_files_that_may_be_in_use_stay(used_days_ago, max_bytes, gone):
    now = 1000 * DAY
    files = [CachedFile(Path(f"{days}"), 10, now - days * DAY) for days in used_days_ago]
    assert [int(file.path.name) for file in unused(files, now, 90 * DAY, max_bytes)] == gone


def test_a_cache_is_listed_without_the_working_folders_of_processes(tmp_path):
    for name in ("v/a.npy", f"{WORK_PREFIX}x/b.npy"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"12")
    (tmp_path / "v" / "link").symlink_to("a.npy")
    assert [(file.path.name, file.size_bytes) for file in cached_files([tmp_path, tmp_path / "none"])] == [("a.npy", 2)]


def test_a_folder_that_goes_while_a_cache_is_listed_is_left_out(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "c.npy").touch()
    listing = cached_files([tmp_path])
    next(listing)
    for name in "ab":
        shutil.rmtree(tmp_path / name)
    assert list(listing) == []


def test_a_cache_in_the_folder_of_a_user_is_there_and_of_one_who_does_not_exist_is_refused(monkeypatch):
    monkeypatch.setenv("HOME", "/home/anna")
    monkeypatch.setenv("RETAKE_CACHE_DIR", "~/kept")
    assert load(MachineSettings).cache_dir == Path("/home/anna/kept")
    monkeypatch.setenv("RETAKE_CACHE_DIR", "~nobody-of-this-name/x")
    with pytest.raises(BadConfiguration, match=r"^environment: RETAKE_CACHE_DIR: ~nobody-of-this-name/x: there is no such user"):
        load(MachineSettings)

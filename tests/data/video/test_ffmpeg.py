import errno
import os
import re
import select
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import imageio_ffmpeg
import pytest

from tasks import disk
from tasks.data.video import child, ffmpeg
from tasks.data.video.child import Memory, undivided
from tasks.data.video.ffmpeg import convert, ffmpeg_version, find_ffmpeg, read_log, reason, run_ffmpeg
from tasks.errors import BadConfiguration, BadVideo, OutOfRoom, Unavailable
from tasks.local.home_folder import REPOSITORY
from tests.data.conftest import script


def run(program, seconds=60, memory=None):
    return run_ffmpeg([], ffmpeg=program, folder=program.parent, time_limit_seconds=seconds, memory=memory or undivided(), name="party.mp4")


def test_takes_the_configured_binary_then_the_carried_one_then_the_systems(tmp_path, monkeypatch):
    monkeypatch.delenv("IMAGEIO_FFMPEG_EXE", raising=False)
    carried = Path(imageio_ffmpeg.get_ffmpeg_exe())
    mine = script(tmp_path / "mine", "exit 0")
    monkeypatch.chdir(tmp_path.parent)
    assert find_ffmpeg(mine) == find_ffmpeg(Path(tmp_path.name) / "mine") == mine, "it runs in other folders"
    with pytest.raises(BadConfiguration, match=r"RETAKE_FFMPEG names .*nowhere"):
        find_ffmpeg(tmp_path / "nowhere")
    systems = script(tmp_path / "ffmpeg", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(systems))
    assert find_ffmpeg(None) == carried
    monkeypatch.setattr(ffmpeg, "BUNDLED", tmp_path / "binaries")
    assert find_ffmpeg(None) == systems
    systems.unlink()
    with pytest.raises(BadConfiguration, match="there is no ffmpeg"):
        find_ffmpeg(None)


def test_asks_the_binary_itself_for_its_version(tmp_path):
    carried = find_ffmpeg(None)
    first_line = subprocess.run([carried, "-version"], check=True, capture_output=True, text=True).stdout.splitlines()[0]
    assert first_line.startswith(f"ffmpeg version {ffmpeg_version(carried)} Copyright")
    debians = script(tmp_path / "debian", "echo 'ffmpeg version 7.1.5-0+deb13u1 Copyright (c) 2000-2026 the FFmpeg developers'")
    assert ffmpeg_version(debians) == "7.1.5-0+deb13u1"


@pytest.mark.parametrize(("text", "words"), [("exit 3", "does not start"), ("echo GNU sed 4.9", "does not report a version")])
def test_a_program_that_is_no_ffmpeg_is_named(tmp_path, text, words):
    program = script(tmp_path / "odd", text)
    with pytest.raises(BadConfiguration, match=rf"^{program} {words}.*RETAKE_FFMPEG"):
        ffmpeg_version(program)
    program.write_bytes(b"\x7fELF of another processor")
    with pytest.raises(BadConfiguration, match=f"^{program} does not start"):
        ffmpeg_version(program)


@pytest.mark.parametrize("children", ["sleep 600 & sleep 600", "sleep 600 &"], ids=["with their parent", "without it"])
def test_the_time_limit_ends_children_too(tmp_path, children):
    start = time.monotonic()
    # The child keeps the log open: the run would not return before its end if only the parent were killed.
    with pytest.raises(BadVideo, match=r"party\.mp4: cutting took longer than 0.2 s"):
        run(script(tmp_path / "slow", children), seconds=0.2)
    assert time.monotonic() - start < 200


def test_it_dies_with_the_step_that_runs_it(tmp_path):
    os.mkfifo(tmp_path / "pid")
    program = script(tmp_path / "slow", f"echo $$ > {tmp_path / 'pid'}; exec sleep 60")
    code = "import sys; from pathlib import Path; from tests.data.video.test_ffmpeg import run; run(Path(sys.argv[1]))"
    with subprocess.Popen([sys.executable, "-c", code, str(program)], cwd=REPOSITORY) as step:
        watched = os.pidfd_open(int((tmp_path / "pid").read_text()))
        step.kill()
    try:
        assert select.select([watched], [], [], 30)[0], "still runs"
    finally:
        os.close(watched)


def test_secrets_of_the_environment_do_not_reach_it(tmp_path, monkeypatch):
    monkeypatch.setenv("RETAKE_STORE_SECRET_KEY", "hush")
    run(script(tmp_path / "spy", "env > seen"))
    assert "hush" not in (tmp_path / "seen").read_text()


def test_a_machine_that_starts_no_further_process_is_not_the_videos_fault(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(child.subprocess, "Popen", refuse)
    with pytest.raises(Unavailable, match="no more processes"):
        run(script(tmp_path / "ok", "exit 0"))


def test_memory_is_limited(tmp_path):
    program = script(tmp_path / "greedy", f"exec {sys.executable} -IS -c 'bytearray(1 << 30)'")
    run(program, memory=Memory(2 << 30, is_scarce=False))
    with pytest.raises(BadVideo):
        run(program, memory=Memory(1 << 29, is_scarce=False))


FULL = "echo '[mp4 @ 0x1] [error] write: No space left on device' >&2; exit 1"
TAG = "printf '[info]   Metadata:\\n[error] No space left on device: 1\\n' >&2; exit 1"
"""The name of a tag in an .mp4 may have a new line."""


@pytest.mark.parametrize(
    ("text", "free_bytes", "free_files", "error", "words"),
    [
        (FULL, 1 << 20, 1, Unavailable, "disk"),
        (FULL, 1 << 40, 0, Unavailable, "the disk .* is full .no inodes are free"),
        (TAG, 1 << 40, 1, OutOfRoom, r"party\.mp4: .*No space left"),
        ("kill -SEGV $$", 1 << 20, 0, BadVideo, r"party\.mp4: ffmpeg was killed by SIGSEGV"),
    ],
)
def test_a_full_disk_is_not_the_videos_fault_and_a_crash_or_the_word_of_a_tag_is(
    tmp_path, monkeypatch, text, free_bytes, free_files, error, words
):
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: SimpleNamespace(free=free_bytes))
    monkeypatch.setattr(disk.os, "statvfs", lambda _: SimpleNamespace(f_files=9, f_favail=free_files))
    with pytest.raises(error, match=words):
        run(script(tmp_path / "ffmpeg", text))


def test_the_sound_is_not_left_out_for_a_disk_that_was_full_for_a_moment(tmp_path, monkeypatch):
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: SimpleNamespace(free=1 << 40))
    source = SimpleNamespace(width=320, height=240, audio_index=1)
    folder = tmp_path / "clips"
    folder.mkdir()
    once = 'if [ "$8" = None ]; then exit 0; fi; ' + FULL
    with pytest.raises(OutOfRoom):
        convert(tmp_path / "party.mp4", folder, source, lambda index: [str(index)], script(tmp_path / "ffmpeg", once), 60, undivided())


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("Error submitting packet to decoder: Invalid data found when processing input", "damaged"),
        ("Decoder not found", "no decoder"),
        ("Error while filtering: Cannot allocate memory", "memory"),
        ("something new", r"cannot convert it \(ffmpeg: something new\)"),
    ],
)
def test_reasons_are_in_plain_words(line, words):
    assert re.search(words, reason(1, [line]))


def test_the_log_is_condensed():
    noise = ["[verbose] x\n"] * 1000 + [f"[h264 @ 0x1] [error] mmco {n}\n" for n in range(1000)]
    log = read_log(
        [
            *noise,
            "[Parsed_showinfo_0 @ 0x1] [info] n:   0 pts: -120 pts_time:-4.25   duration: 1 fmt:yuv420p i:P iskey:0 type:B \n",
            "[Parsed_showinfo_0 @ 0x1] [info] n:   1 pts: -120 pts_time:-4      duration: 1 fmt:yuv420p i:P iskey:1 type:I \n",
            "[Parsed_showinfo_0 @ 0x1] [info] n:   9 pts:  120 pts_time:4       duration: 1 fmt:yuv420p i:P iskey:1 type:I \n",
            "[vist#0:0/h264 @ 0x1] [dec:h264 @ 0x2] [warning] corrupt decoded frame\n",
            "[in#0/mov @ 0x5] [verbose]   Input stream #0:0 (video): 50 packets read (45842 bytes); 49 frames decoded; 1 decode errors; \n",
            "[verbose]   Input stream #0:1 (audio): 431 packets read (180140 bytes); 430 frames decoded; 7 decode errors (495375 samples); \n",
        ]
    )
    assert len(log.errors) <= 20
    assert log.errors[-1] == "mmco 999"
    assert log.num_corrupt_frames == 1
    assert log.first_key_seconds == -4
    assert log.num_packets == {0: 50, 1: 431}
    assert log.num_decode_errors == {0: 1, 1: 7}

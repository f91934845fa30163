import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tasks.data.video import child
from tasks.data.video.child import MAX_BYTES, STEP_BYTES, Memory, MemoryShares, usable_bytes
from tasks.errors import BadVideo, OutOfMemory

GIB = 1 << 30


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine of 64 GiB with these files of cgroups."""

    def make(own, files):
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(f"{text}\n")
        (tmp_path / "own").write_text(own)
        monkeypatch.setattr(child, "CGROUPS", tmp_path)
        monkeypatch.setattr(child, "OWN_CGROUPS", tmp_path / "own")
        monkeypatch.setattr(child.os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 16 << 20}.__getitem__)

    return make


@pytest.mark.parametrize(
    ("own", "files", "usable"),
    [
        ("0::/\n", {"memory.max": str(4 * GIB)}, 4 * GIB - STEP_BYTES),
        ("0::/\n", {"memory.max": "max"}, MAX_BYTES),
        ("0::/a/b\n", {"a/b/memory.max": "max", "a/memory.max": str(2 * GIB)}, 2 * GIB - STEP_BYTES),
        ("4:memory:/docker/x\n0::/\n", {"memory/memory.limit_in_bytes": str(GIB)}, GIB - STEP_BYTES),
        ("4:cpu,memory:/x\n", {"memory/x/memory.limit_in_bytes": "9223372036854771712"}, MAX_BYTES),
        ("0::/\n", {"memory.max": str(GIB // 2)}, GIB // 4),
        ("", {}, MAX_BYTES),
    ],
    ids=["container", "no limit", "limit above", "cgroups 1", "cgroups 1 without limit", "tiny", "no cgroups"],
)
def test_all_children_together_fit_the_container(machine, own, files, usable):
    machine(own, files)
    assert usable_bytes() == usable


def test_one_that_needs_more_is_tried_again_alone_with_all():
    shares, together, running, seen = MemoryShares(3, 3 * GIB), threading.Barrier(3, timeout=30), set(), []

    def work(name, memory):
        running.add(name)
        if memory.is_scarce:
            together.wait()
        seen.append((name, memory, len(running)))
        running.remove(name)
        if name != "small" and memory.size_bytes < 2 * GIB:
            raise OutOfMemory(f"{name}: more")
        return name

    names = ["large", "small", "huge"]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda name: shares.run(lambda memory: work(name, memory)), names)) == names
    assert [memory for _, memory, _ in seen[:3]] == [Memory(GIB, is_scarce=True)] * 3
    assert {(name, memory, num_running) for name, memory, num_running in seen[3:]} == {
        (name, Memory(3 * GIB, is_scarce=False), 1) for name in ("large", "huge")
    }


@pytest.mark.parametrize(("error", "num_tries"), [(OutOfMemory("a: more"), 2), (BadVideo("a: damaged"), 1)])
def test_work_that_fails_alone_or_otherwise_is_not_tried_for_ever(error, num_tries):
    tries = []

    def work(memory):
        tries.append(memory)
        raise error

    with pytest.raises(type(error)):
        MemoryShares(2, GIB).run(work)
    assert len(tries) == num_tries
    with pytest.raises(type(error)):
        MemoryShares(1, GIB).run(work)
    assert tries[num_tries:] == [Memory(GIB, is_scarce=False)]

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tasks.data.video import frames as decoding
from tasks.data.video.flow import FlowMaker
from tasks.data.video.frames import CacheItem, cache_frames, iter_fields, iter_frames, kept_decoders, read_frames, scaled_size
from tasks.disk import WORK_PREFIX
from tasks.errors import BadVideo, Unavailable
from tasks.keys import flow_recipe_of, frames_made_by
from tasks.options import FlowOptions
from tests.data.video.hostile import blank


def decode_all(path):
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.fixture(scope="module")
def clip_and_frames(clips):
    return clips[0].path, decode_all(clips[0].path)


@pytest.mark.slow
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(indices=st.lists(st.integers(0, 239), min_size=1, max_size=12))
def test_any_frames_in_any_order(clip_and_frames, indices):
    path, frames = clip_and_frames
    np.testing.assert_array_equal(read_frames(path, indices, short_side=None), frames[indices])
    np.testing.assert_array_equal(list(iter_frames(path, indices, short_side=None)), frames[indices])


@pytest.mark.slow
def test_frames_of_videos_with_reordered_pictures(counted, shared):
    """Not only clips: key frames far apart, B-frames, open groups of pictures."""
    for path in (shared / "videos/long/bikes.mp4", shared / "videos/odd/h265_10bits.mp4", counted):
        frames = decode_all(path)
        indices = [0, len(frames) - 1, len(frames) // 2, len(frames) // 2 + 1, 3]
        np.testing.assert_array_equal(read_frames(path, indices, short_side=None), frames[indices])


@pytest.mark.parametrize("short_side", [32, 64, 256])
def test_scaled_up_or_down_to_the_short_side(patterned, short_side):
    frames = read_frames(patterned, [0, 4], short_side=short_side)
    assert frames.shape == (2, short_side, short_side * 96 // 64, 3)
    assert frames.dtype == np.uint8
    np.testing.assert_allclose(frames.mean((1, 2)), decode_all(patterned)[[0, 4]].mean((1, 2)), atol=1)


def test_frames_are_scaled_as_asked(patterned):
    (whole,) = read_frames(patterned, [3], short_side=None)
    bilinear, bicubic = (np.asarray(Image.fromarray(whole).resize((120, 80), Image.Resampling[name])) for name in ("BILINEAR", "BICUBIC"))
    np.testing.assert_array_equal(read_frames(patterned, [3], short_side=80)[0], bilinear)
    np.testing.assert_array_equal(read_frames(patterned, [3], short_side=80, interpolation="bicubic")[0], bicubic)
    assert not np.array_equal(bilinear, bicubic)


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 1080))
def test_the_short_side_is_as_asked_and_the_shape_stays(width, height, short_side):
    w, h = scaled_size(width, height, short_side)
    assert min(w, h) == short_side
    assert (w >= h) == (width >= height) or w == h
    assert abs(max(w, h) - short_side * max(width, height) / min(width, height)) < 1


@pytest.mark.parametrize("indices", [[5], [0, 500], [-1]])
def test_a_frame_that_is_not_there(patterned, indices):
    with pytest.raises(BadVideo, match=rf"{patterned.name}: frames .* requested, but it has 5"):
        read_frames(patterned, indices, short_side=None)


def test_a_clip_that_does_not_decode(small, tmp_path):
    (tmp_path / "0000.mp4").write_bytes(blank(small))
    with pytest.raises(BadVideo, match=r"0000\.mp4"):
        read_frames(tmp_path / "0000.mp4", [0, 20], short_side=256)


EVERY_FIFTH = tuple(range(0, 240, 5))
MIDDLES = (15, 45, 75, 105, 135, 165, 195, 225)


class Store:
    """Clips by key, and who asked for them."""

    def __init__(self, clips):
        self.paths = {f"clips/{clip.index}": clip.path for clip in clips}
        self.fetched: list[str] = []
        self.lock = threading.Lock()

    def fetch(self, key, path):
        with self.lock:
            self.fetched.append(key)
        shutil.copyfile(self.paths[key], path)


@pytest.fixture(autouse=True)
def pool(monkeypatch):
    """Let a thread decode in the place of a single process, which takes longer to start than these few frames."""
    processes = decoding.ProcessPoolExecutor
    monkeypatch.setattr(
        decoding, "ProcessPoolExecutor", lambda number, mp_context: ThreadPoolExecutor(1) if number == 1 else processes(number, mp_context)
    )


@pytest.fixture
def store(clips):
    return Store(clips)


def item(clip, indices):
    return CacheItem(f"clips/{clip.index}", clip.sha256, clip.width, clip.height, indices)


def ignore(num_done, num_items):
    pass


def fill(items, root, store, progress=ignore, num_processes=1):
    return cache_frames(items, root, short_side=80, fetch=store.fetch, num_processes=num_processes, progress=progress)


@pytest.mark.slow
def test_entries_hold_the_frames_and_are_made_once(clips, store, tmp_path):
    items = [
        item(clips[0], EVERY_FIFTH),
        item(clips[1], MIDDLES),
        item(clips[0], MIDDLES),
        item(clips[1], (0, 0, 1, 1, 2, 1, 2, 40, 39, 3)),
    ]
    steps: list[tuple[int, int]] = []
    paths = fill(items, tmp_path / "cache", store, lambda *step: steps.append(step), num_processes=2)
    for entry, path in zip(items, paths, strict=True):
        frames = np.load(path, mmap_mode="r")
        np.testing.assert_array_equal(frames, read_frames(store.paths[entry.key], entry.indices, short_side=80))
    assert steps == [(n, 4) for n in range(5)]
    assert sorted(path for path in (tmp_path / "cache").rglob("*") if not path.is_dir()) == sorted(paths), "downloads are gone"
    assert list((tmp_path / "cache").iterdir()) == [paths[0].parent], "working folders are gone"
    assert sorted(store.fetched) == ["clips/0", "clips/0", "clips/1", "clips/1"]

    assert fill(items, tmp_path / "cache", store) == paths
    assert len(store.fetched) == 4


@pytest.mark.slow
def test_calls_in_a_block_share_their_decoders_which_end_with_it(clips, store, tmp_path, monkeypatch):
    pools: list[ThreadPoolExecutor] = []
    monkeypatch.setattr(decoding, "ProcessPoolExecutor", lambda *_, **__: pools.append(ThreadPoolExecutor(1)) or pools[-1])
    with kept_decoders(1):
        for indices in (MIDDLES, EVERY_FIFTH):
            fill([item(clips[0], indices)], tmp_path, store)
    assert len(pools) == 1
    with pytest.raises(RuntimeError, match="after shutdown"):
        pools[0].submit(ignore, 0, 0)
    fill([item(clips[1], MIDDLES)], tmp_path, store)
    assert len(pools) == 2


def count_threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


@pytest.mark.slow
def test_a_decoder_has_one_thread_however_many_cores_there_are(monkeypatch):
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)
    with kept_decoders(2):
        assert decoding._kept[-1].submit(count_threads).result() == 1


@pytest.mark.slow
def test_frames_of_another_decoder_or_scaler_are_made_anew_under_the_same_name(clips, store, tmp_path, monkeypatch):
    items = [item(clips[0], MIDDLES)]
    (first,) = fill(items, tmp_path, store)
    monkeypatch.setattr(decoding, "frames_made_by", lambda: "av-99.0-pillow-13.0.0")
    (second,) = fill(items, tmp_path, store)
    assert (first.name, first.parent) == (second.name, tmp_path / frames_made_by())
    assert second.parent == tmp_path / "av-99.0-pillow-13.0.0"
    assert store.fetched == ["clips/0", "clips/0"]


@pytest.mark.slow
def test_frames_that_are_scaled_otherwise_have_entries_of_their_own(patterned, store, tmp_path):
    store.paths["patterned"] = patterned
    bilinear = CacheItem("patterned", "0" * 64, 96, 64, (1, 3))
    bicubic = replace(bilinear, interpolation="bicubic")
    paths = fill([bilinear, bicubic], tmp_path, store)
    assert paths[1].name == paths[0].name.replace("-80-", "-80-bicubic-")
    for path, interpolation in zip(paths, ("bilinear", "bicubic"), strict=True):
        np.testing.assert_array_equal(np.load(path), read_frames(patterned, (1, 3), short_side=80, interpolation=interpolation))
    assert not np.array_equal(*map(np.load, paths))


@pytest.mark.slow
def test_damaged_entries_are_made_again(clips, store, tmp_path):
    items = [item(clips[0], (number, 100)) for number in range(5)]
    paths = fill(items, tmp_path, store)
    good = [path.read_bytes() for path in paths]
    paths[0].write_bytes(b"")
    paths[1].write_bytes(bytes(4096))
    paths[2].write_bytes(good[2][:-1])
    np.save(paths[3], np.zeros((2, 80, 120, 3), np.float32))
    assert fill(items, tmp_path, store) == paths
    assert [path.read_bytes() for path in paths] == good
    assert len(store.fetched) == 5 + 4


@pytest.mark.slow
def test_entries_of_flow_have_two_planes_and_names_of_their_own(clips, store, tmp_path):
    clip, options = clips[2], FlowOptions(flow_method="dis")
    store.paths["flow/2"] = tmp_path / "2.mkv"
    with FlowMaker(options, 1) as maker:
        assert maker.write(clip.path, store.paths["flow/2"], num_frames=clip.num_frames, short_side=80) == clip.num_frames - 1 == 134
    flow = replace(item(clip, (0, 1, 2, 100, 100)), key="flow/2", flow=flow_recipe_of(options))
    other = replace(flow, flow="other")
    rgb_path, flow_path, other_path = fill([item(clip, flow.indices), flow, other], tmp_path / "cache", store)
    fields = np.load(flow_path, mmap_mode="r")
    assert fields.shape == (5, 80, 120, 2)
    np.testing.assert_array_equal(fields, list(iter_fields(store.paths["flow/2"], flow.indices)))
    assert np.load(rgb_path, mmap_mode="r").shape == (5, 80, 120, 3)
    assert other_path != flow_path
    assert fill([flow], tmp_path / "cache", store) == [flow_path]
    assert len(store.fetched) == 3


@pytest.mark.slow
def test_a_clip_and_flow_of_another_size_are_refused(clips, store, tmp_path):
    store.paths["flow/2"] = tmp_path / "2.mkv"
    with FlowMaker(FlowOptions(flow_method="dis"), 1) as maker:
        maker.write(clips[2].path, store.paths["flow/2"], num_frames=3, short_side=64)
    with pytest.raises(BadVideo, match="frames are 96x64 pixels instead of 120x80"):
        fill([replace(item(clips[2], (0, 1)), key="flow/2", flow="any")], tmp_path / "cache", store)
    with pytest.raises(BadVideo, match="frames are 120x80 pixels instead of 160x80"):
        fill([replace(item(clips[0], MIDDLES), width=128)], tmp_path, store)


@pytest.mark.slow
def test_a_bad_clip_is_named_and_leaves_no_entry(clips, store, tmp_path):
    store.paths["clips/0"] = Path(__file__)
    with pytest.raises(BadVideo, match=r"^clips/0: damaged, or not a video"):
        fill([item(clips[0], MIDDLES), item(clips[1], MIDDLES)], tmp_path, store)
    assert not list(tmp_path.rglob(f"{clips[0].sha256}*"))
    assert not list(tmp_path.glob(f"{WORK_PREFIX}*"))


@pytest.mark.slow
def test_a_disk_that_is_too_small_is_told_before_anything_is_fetched(clips, store, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1, 1, 100 * 1024))
    with pytest.raises(Unavailable, match=r"for decoded frames 225 KiB are needed and 100 KiB are free; .*frame_step"):
        fill([item(clips[0], MIDDLES)], tmp_path, store)
    assert not store.fetched

"""Flow of films whose motion is known, and of real clips; how it is kept."""

import subprocess
import sys
from itertools import pairwise

import av
import cv2
import numpy as np
import pytest

from tasks.data.video.flow import FlowMaker, quantise
from tasks.data.video.frames import iter_fields, num_fields, read_frames
from tasks.errors import BadVideo
from tasks.learn.inputs.crops import mirrored
from tasks.options import FlowOptions, Modality

pytestmark = pytest.mark.slow

METHODS = ("tvl1", "dis")
SIDE = 64
PEAK_OF_A_LONG_CLIP = """
import sys
from pathlib import Path
from tasks.judge.statistics.scoring import peak_memory_bytes
from tasks.options import FlowOptions
from tasks.data.video.flow import FlowMaker
with FlowMaker(FlowOptions(flow_method="dis"), 2) as maker:
    maker.write(Path(sys.argv[1]), Path(sys.argv[2]), num_frames=int(sys.argv[3]), short_side=128)
print(peak_memory_bytes() // 2**20)
"""


def texture(height, width, seed=0):
    """Soft blots, which an algorithm can follow."""
    noise = cv2.GaussianBlur(np.random.default_rng(seed).random((height, width)), (0, 0), 3)
    return np.asarray(cv2.normalize(noise, None, 0, 255, cv2.NORM_MINMAX), np.uint8)


def moving(num_frames, x, y, height=SIDE, width=96):
    """A window that looks at the texture such that all moves x pixels right and y pixels down from frame to frame."""
    margin = num_frames * max(abs(x), abs(y))
    whole = texture(height + 2 * margin, width + 2 * margin)
    starts = [(margin - n * y, margin - n * x) for n in range(num_frames)]
    return [whole[top : top + height, left : left + width] for top, left in starts]


def write_clip(path, frames):
    """Grey frames as a lossless clip."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"qp": "0", "preset": "ultrafast", "bf": "0"})
        stream.height, stream.width = frames[0].shape
        stream.pix_fmt = "yuv444p"
        for number, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(np.stack([frame] * 3, -1), format="rgb24")
            picture.pts = number
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


def flow_of(clip, num_frames, method="dis", short_side=SIDE, num_threads=2):
    """All fields (n, h, w, 2) by way of the file."""
    path = clip.with_suffix(".mkv")
    with FlowMaker(FlowOptions(flow_method=method), num_threads) as maker:
        num_written = maker.write(clip, path, num_frames=num_frames, short_side=short_side)
    assert num_written == num_fields(num_frames)
    return np.stack(list(iter_fields(path, range(num_written))))


def pixels(flow):
    return flow * (40 / 255) - 20


@pytest.mark.parametrize("method", METHODS)
def test_a_known_motion_is_found_in_pixels_x_before_y(method, tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", moving(5, x=3, y=-2))
    flow = pixels(flow_of(clip, 5, method))
    assert flow.shape == (4, SIDE, 96, 2)
    inner = flow[:, 12:-12, 12:-12]
    np.testing.assert_allclose(np.median(inner, (1, 2)), [(3, -2)] * 4, atol=0.25)
    assert np.mean(np.abs(inner - (3, -2)) < 0.5) > 0.9


@pytest.mark.parametrize("method", METHODS)
def test_motion_beyond_the_bound_is_the_bound(method, tmp_path, monkeypatch):
    monkeypatch.setattr("tasks.data.video.flow.BOUND_PIXELS", 2)
    clip = write_clip(tmp_path / "clip.mp4", moving(3, x=4, y=-4))
    inner = flow_of(clip, 3, method)[:, 12:-12, 12:-12]
    np.testing.assert_array_equal(np.median(inner, (0, 1, 2)), (255, 0))


def test_8_bit_values_are_as_tsn_has_them():
    values = np.array([-99, -20, -10, 0, 10, 20, 99], np.float32)
    np.testing.assert_array_equal(quantise(values, 20), [0, 0, 64, 128, 191, 255, 255])
    steps = np.linspace(-20, 20, 1001, dtype=np.float32)
    assert np.abs(quantise(steps, 20) * (40 / 255) - 20 - steps).max() <= 20 / 255 + 1e-5


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("num_frames", [3, 1])
def test_no_motion_is_the_middle_grey_and_a_single_frame_has_a_field_of_it(method, num_frames, tmp_path):
    flow = flow_of(write_clip(tmp_path / "clip.mp4", [texture(SIDE, 96)] * num_frames), num_frames, method)
    assert flow.shape == (max(1, num_frames - 1), SIDE, 96, 2)
    assert set(np.unique(flow)) <= {127, 128}


@pytest.mark.parametrize("method", METHODS)
def test_the_flow_of_the_mirror_image_is_the_mirrored_flow(method, tmp_path):
    frames = moving(2, x=5, y=3, height=128, width=160)
    flow, of_mirrored = (
        flow_of(write_clip(tmp_path / f"{name}.mp4", some), 2, method, short_side=128)
        for name, some in (("plain", frames), ("mirrored", [frame[:, ::-1] for frame in frames]))
    )
    assert flow.shape == of_mirrored.shape == (1, 128, 160, 2)
    assert np.mean(np.abs(pixels(mirrored(flow, Modality.FLOW)) - pixels(of_mirrored))) < 0.1
    assert np.median(pixels(of_mirrored)[..., 0]) == pytest.approx(-5, abs=0.25)


def test_the_file_holds_exactly_the_computed_fields_and_each_is_read_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("tasks.data.video.flow.BOUND_PIXELS", 4)
    noise = np.random.default_rng(0).integers(0, 256, (12, SIDE, 91), np.uint8)
    clip = write_clip(tmp_path / "clip.mp4", list(noise))
    flow = flow_of(clip, 12)
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in read_frames(clip, range(12), short_side=SIDE)]
    algorithm = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    computed = np.stack([quantise(algorithm.calc(a, b, None), 4) for a, b in pairwise(grey)])
    np.testing.assert_array_equal(flow, computed)
    assert len(np.unique(flow)) > 200
    np.testing.assert_array_equal(list(iter_fields(clip.with_suffix(".mkv"), (7, 7, 10))), flow[[7, 7, 10]])


def test_frames_are_scaled_first(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", moving(2, x=4, y=0, height=128, width=192))
    flow = pixels(flow_of(clip, 2))
    assert flow.shape == (1, SIDE, 96, 2)
    assert np.median(flow[..., 0]) == pytest.approx(2, abs=0.25)


@pytest.mark.parametrize("method", METHODS)
def test_the_bytes_do_not_depend_on_the_number_of_threads(method, tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", moving(8, 2, 1))
    files = []
    for num_threads in (1, 3):
        flow_of(clip, 8, method, num_threads=num_threads)
        files.append(clip.with_suffix(".mkv").read_bytes())
    assert files[0] == files[1]


def test_a_damaged_or_shorter_clip_and_a_damaged_file_of_flow_are_told(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", moving(8, 2, 1))
    with pytest.raises(BadVideo, match="frames 0 to 8 requested, but it has 8"):
        flow_of(clip, 9)
    flow_of(clip, 8)
    half = clip.stat().st_size // 2
    fields = clip.with_suffix(".mkv")
    for path, num_bytes, read in (
        (fields, 1000, lambda path: list(iter_fields(path, range(7)))),
        (clip, half, lambda path: flow_of(path, 8)),
    ):
        path.write_bytes(path.read_bytes()[:num_bytes])
        with pytest.raises(BadVideo, match=path.name):
            read(path)


def test_memory_does_not_grow_with_the_clip(make_video, tmp_path):
    clip = make_video(tmp_path / "clip.mp4", "-f", "lavfi", "-i", "testsrc2=s=170x128:r=30:d=30", "-preset", "ultrafast")

    def peak_mib(num_frames):
        command = [sys.executable, "-c", PEAK_OF_A_LONG_CLIP, str(clip), str(tmp_path / "flow.mkv"), str(num_frames)]
        return int(subprocess.check_output(command, text=True))

    grey_mib = 800 * 128 * 170 / 2**20
    assert peak_mib(900) - peak_mib(100) < grey_mib / 2

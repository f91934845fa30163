"""The program of a package cuts, samples and merges as Retake does."""

import json
import os
import shutil
import socket
import subprocess
import sys
from itertools import islice

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.data.labels.formats.items import VIDEO_SUFFIXES
from tasks.data.video.frames import read_frames
from tasks.data.video.inspection import FORMATS
from tasks.learn.engines.engine import prepare
from tasks.learn.engines.graph import GraphInput
from tasks.learn.engines.pytorch import PytorchEngine
from tasks.learn.engines.scorer import Scorer
from tasks.learn.inputs.snippets import middle_frames
from tasks.learn.networks.checkpoints import HeadWeights, Saved
from tasks.options import Family, Modality, SegmentOptions
from tasks.predict.intervals import intervals
from tasks.predict.probabilities import Distributions, distributions
from tasks.served import Served
from tasks.served.package import predict
from tasks.served.package.check import preprocessing
from tasks.served.package.folder import input_of, window_of
from tasks.served.videos import VideoModel
from tests.data.video.conftest import cut_into
from tests.learn.tiny import CLASSES, TINY_VIDEO, network_of, tiny, tiny_video_network, with_branches
from tests.pipeline.shelf import filmed
from tests.records import some

SEGMENT = SegmentOptions(clip_seconds=1, min_clip_seconds=0.5, crf=0)
PAIRS = [(0, 0), (0, 1), (1, 0), (1, 2), (2, 2)]


def contract_of(spec, segment=SEGMENT, **changes):
    """What predict.py reads of contract.json, of a network that takes frames."""
    window = window_of(segment)
    frames = input_of(GraphInput("frames", "frames", (None, spec.num_frames, None, None, 3), "uint8"), spec, window)
    names = {"verbs": list(CLASSES.verbs), "nouns": list(CLASSES.nouns), "pairs": PAIRS, "nothing": None}
    read = {"window": window, "inputs": (frames,), **names, "threshold": 0.3, "reports": True, "outputs": [], **changes}
    return json.loads(json.dumps(read, default=lambda record: record.model_dump(mode="json")))


@given(st.lists(st.integers(-3, 40), min_size=1, max_size=12).map(sorted), st.integers(0, 5))
def test_a_number_shows_the_last_frame_that_is_not_later(numbers, last_duration):
    known = numbers[-1] + last_duration if last_duration else 0  # 0 of a stream, whose last frame is shown once
    total = max(0, known, numbers[-1] + 1)
    earlier = ([i for i, own in enumerate(numbers) if own <= number] for number in range(total))
    shown = predict.resampled([(own, i) for i, own in enumerate(numbers)], known)
    assert list(shown) == [(number, before[-1] if before else 0) for number, before in enumerate(earlier)]


@pytest.mark.parametrize(
    "changes", [{}, {"num_segments": 3, "sampling_window": 0.4}, {"modality": Modality.RGB_DIFFERENCE}, {"video": True}]
)
def test_windows_of_any_length_show_the_frames_that_a_network_is_tested_on(changes):
    with tiny_video_network():
        spec = tiny(Family.VIDEO, backbone=TINY_VIDEO.name, num_segments=3) if changes.get("video") else tiny(**changes)
        sampling = contract_of(spec)["inputs"][0]["sampling"]
        assert tuple(sampling["positions"]) == middle_frames(30, spec)
        for length in range(1, 65):
            assert tuple(predict.positions(length, sampling)) == middle_frames(length, spec)


@given(st.integers(0), st.sampled_from([1, 5, 10, 15, 30]), st.integers(0, 70))
def test_windows_are_merged_into_the_intervals_of_a_prediction(seed, stride, further):
    total = 30 + further
    spans = [(start, start + 30) for start in range(0, further + 1, stride)]
    spans += [(total - total % 30, total)] if total % 30 >= 15 else []
    heads = np.random.default_rng(seed).dirichlet([0.2] * 3, (len(spans), 2))
    starts, stops = np.array(spans).T / 30
    expected = intervals(starts, stops, Distributions(heads[:, 0], heads[:, 1], np.array(PAIRS)))
    answered = [(start, stop, verbs, nouns) for (start, stop), (verbs, nouns) in zip(spans, heads, strict=True)]
    merged = predict.intervals(answered, contract_of(tiny(), nothing=2, threshold=None))
    assert list(merged) == [
        {
            "start": pytest.approx(own.start_seconds, abs=1e-5),
            "stop": pytest.approx(own.stop_seconds, abs=1e-5),
            "verb": CLASSES.verbs[own.verb_class],
            "noun": CLASSES.nouns[own.noun_class],
            "probability": pytest.approx(own.probability, rel=1e-4),  # a prediction rounds times to microseconds
            "reported": True,
        }
        for own in expected
        if own.verb_class != 2
    ]


def test_an_interval_is_told_as_soon_as_no_later_window_can_change_it():
    taken = []

    def answered():
        for number, verb in enumerate([0, 0, 1, 1]):
            taken.append(number)
            yield 30 * number, 30 * number + 30, np.eye(3)[verb], np.ones(3) / 3

    first = next(predict.intervals(answered(), contract_of(tiny())))
    assert (first["start"], first["stop"], taken) == (0, 2, [0, 1, 2, 3])


@pytest.mark.slow
@pytest.mark.parametrize("rate", ["25", "30000/1001", "60"])
def test_a_film_is_answered_as_by_the_registered_model(rate, ffmpeg, tmp_path):
    film = filmed(
        ffmpeg, tmp_path / "film.mp4", seconds=3.7, picture=f"testsrc2=s=400x300:r={rate},drawbox=c=white:t=fill:enable='between(t,1,2)'"
    )
    saved = Saved((with_branches(network_of(seed=3)),), (HeadWeights(1, 1),), CLASSES)
    served = some(Served, segment=SEGMENT, verb_temperature=0.5, noun_temperature=2, threshold=0.3, actions=PAIRS)
    rows = VideoModel(saved, served).predict([str(film)]).to_dict("records")
    network = prepare(saved.network)
    scorer = Scorer((PytorchEngine(network, 1),), saved.weights)

    def run(inputs):
        logits = [scorer.score([frames]) for frames in inputs["frames"]]
        likely = distributions(*(np.stack([own[head].numpy() for own in logits]) for head in (0, 1)), 0.5, 2)
        return {"verb_probabilities": likely.verbs, "noun_probabilities": likely.nouns}

    contract = contract_of(network.spec)
    merged = list(predict.intervals(predict.answers(predict.windows(str(film), contract, 30), contract, run, 4), contract))
    assert len(merged) > 1
    assert [{"video": str(film), **own} for own in merged] == [
        {**row, "stop": pytest.approx(row["stop"], abs=1e-6), "probability": pytest.approx(row["probability"])} for row in rows
    ]


@pytest.mark.slow
def test_real_films_show_the_pictures_of_their_cut(shared, tmp_path):
    for name in ("vfr_real.mp4", "bt709_full_range.mp4", "rotated90_remux.mp4"):
        film = shared / "videos" / "odd" / name
        clips = cut_into(tmp_path, film, SEGMENT).clips[:2]
        assert clips
        shown = islice(predict.windows(str(film), contract_of(tiny()), 30), len(clips))
        for clip, (start, stop, inputs) in zip(clips, shown, strict=True):
            assert (start, stop) == (round(clip.start_seconds * 30), round(clip.stop_seconds * 30))
            theirs = read_frames(clip.path, middle_frames(clip.num_frames, tiny()), short_side=None)
            # A rotated picture is scaled before it is turned.
            assert np.abs(inputs["frames"].astype(int) - theirs).max() <= (4 if "rotated" in name else 0)


def test_films_that_cannot_be_answered_are_refused(ffmpeg, tmp_path, shared):
    contract = contract_of(tiny())
    short = filmed(ffmpeg, tmp_path / "short.mp4", seconds=0.3)
    with pytest.raises(ValueError, match=r"no window of it decodes; give 0\.5 s or more that do"):
        next(predict.windows(str(short), contract, 30))
    with pytest.raises(ValueError, match="it has no pictures"):
        next(predict.windows(str(shared / "videos" / "odd" / "audio_only.m4a"), contract, 30))
    (tmp_path / "notes.txt").write_text("a line of a text\n" * 40_000)
    with pytest.raises(av.error.ArgumentError):
        next(predict.windows(str(tmp_path / "notes.txt"), contract, 30))
    damaged = filmed(ffmpeg, tmp_path / "damaged.mp4")
    before, box, after = damaged.read_bytes().partition(b"mdat")
    index = after.rindex(b"moov")
    damaged.write_bytes(before + box + bytes(index - 4) + after[index - 4 :])
    with pytest.raises(ValueError, match="no window of it decodes"):
        next(predict.windows(str(damaged), contract, 30))
    contract["inputs"][0]["kind"] = "flow"
    with pytest.raises(ValueError, match="the network takes flow, which"):
        next(predict.windows(str(short), contract, 30))


@pytest.mark.parametrize(
    ("source", "address", "kind"),
    [
        ("camera:0", "/dev/video0", "v4l2"),
        ("rtsp://camera:554/stream", "rtsp://camera:554/stream", None),
        ("my camera:1.mp4", "file:my camera:1.mp4", None),
    ],
)
def test_a_source_is_opened_by_its_address(source, address, kind, monkeypatch):
    opened = []

    def note(address, format, **how):
        opened.append((address, format))
        raise OSError(0, "closed")

    monkeypatch.setattr(av, "open", note)
    with pytest.raises(OSError, match="closed"):
        predict.Video(source, 30)
    assert opened == [(address, kind)]


def test_files_are_read_in_the_formats_that_an_ingest_reads():
    assert ",".join(FORMATS) == predict.FORMATS
    # Files beside films in a folder: circular pictures of two lenses, a camera's previews, and sound.
    films = [ending for ending in VIDEO_SUFFIXES if ending not in (".insv", ".lrv", ".ogg")]
    assert f"({'|'.join(ending[1:] for ending in films)})" in predict.is_video.__self__.pattern
    assert list(filter(predict.is_video, VIDEO_SUFFIXES)) == films


def test_a_graph_scales_all_frames_of_a_size(ffmpeg, tmp_path, monkeypatch):
    film, make, made = predict.Video(str(filmed(ffmpeg, tmp_path / "film.mp4")), 30), av.filter.Graph, []
    monkeypatch.setattr(av.filter, "Graph", lambda: made.append(make()) or made[-1])
    sizes = [(64, 48), (64, 48), (48, 64), (48, 64)]
    assert [film.picture(av.VideoFrame(*size, "yuv420p"), 32).shape for size in sizes] == [(32, 42, 3)] * 2 + [(42, 32, 3)] * 2
    assert len(made) == 2


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the program, whose network is sure of the first verb and noun; return its exit status."""
    answer = {"verb_probabilities": np.eye(3)[:1], "noun_probabilities": np.eye(3)[:1]}

    def run(*films, **changes):
        (tmp_path / "contract.json").write_text(json.dumps(contract_of(tiny())))
        for name, changed in {"HERE": tmp_path, "loaded": lambda _: lambda _: answer, **changes}.items():
            monkeypatch.setattr(predict, name, changed)
        monkeypatch.setattr("sys.argv", ["predict.py", *map(str, films)])
        return predict.main()

    return run


@pytest.mark.parametrize("is_answered", [True, False])
def test_a_password_in_an_address_is_not_printed(is_answered, run, capsys):
    address = "rtsp://user:secret@camera/stream"

    def windows(*_):
        if not is_answered:
            raise OSError(5, "no answer", address)
        yield 0, 30, {"frames": np.zeros(1)}

    assert run(address, windows=windows) == (not is_answered)
    printed = "".join(capsys.readouterr())
    assert "rtsp://camera/stream" in printed
    assert "secret" not in printed


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_an_address_that_never_answers_is_given_up(scheme, run, monkeypatch, capsys):
    wait = av.open
    monkeypatch.setattr(av, "open", lambda *given, timeout, **how: wait(*given, timeout=timeout / 100, **how))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/stream"
        assert run(address) == 1
    assert capsys.readouterr().err == f"{address}: no answer, or no video\n"


def test_of_a_folder_those_files_are_named_that_end_as_films_and_cannot_be_read(tmp_path, run, capsys):
    (folder := tmp_path / "films" / "more").mkdir(parents=True)
    for name in ("a.mp4", "B.MKV", "labels.csv", "README", ".hidden.mp4"):
        (folder / name).write_bytes(b"no film")
    assert run(tmp_path / "films") == 1
    assert capsys.readouterr().err.splitlines() == [
        f"{folder / name}: Invalid data found when processing input" for name in ("B.MKV", "a.mp4")
    ]


def test_a_reader_that_has_enough_ends_the_program_as_it_ends_others(tmp_path):
    shutil.copy(predict.__file__, tmp_path)
    (tmp_path / "contract.json").write_text(json.dumps(contract_of(tiny())))
    (tmp_path / "openvino.py").write_text("class Core:\n    compile_model = lambda *_: None")
    reading, writing = os.pipe()
    os.close(reading)
    program = [sys.executable, tmp_path / "predict.py", "film.mp4", "--format=vtt"]
    with os.fdopen(writing, "wb") as output:
        ended = subprocess.run(program, stdout=output, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (141, "")


def test_a_check_whose_film_has_no_window_or_is_shorter_than_one_says_so(ffmpeg, tmp_path):
    assert preprocessing({}, {}, iter(())) == "the video of the check has no window"
    short = filmed(ffmpeg, tmp_path / "short.mp4", seconds=0.3)
    problem = preprocessing({}, {}, predict.windows(str(short), contract_of(tiny()), 30))
    assert problem == "the video of the check cannot be cut: no window of it decodes; give 0.5 s or more that do"


def test_a_cue_has_the_times_of_its_interval():
    interval = {"start": 3661.5, "stop": 3662.0, "verb": "take", "noun": "pan", "reported": True}
    assert predict.cue(interval) == "01:01:01.500 --> 01:01:02.000\ntake pan\n"
    assert predict.cue({**interval, "reported": False}) == ""


@pytest.mark.parametrize(("verb", "noun", "shown"), [("wave", "(none)", "wave"), ("cut-&-mix", "<b>-->", "cut-&amp;-mix &lt;b&gt;--&gt;")])
def test_a_cue_names_its_action_as_plain_text(verb, noun, shown):
    assert predict.cue({"start": 0, "stop": 1, "verb": verb, "noun": noun, "reported": True}).splitlines()[1] == shown


SILENT, SHORT = "no answer, or no video", "no window of it decodes; give 1 s or more that do"


@pytest.mark.parametrize(("num_frames", "is_silent", "stop", "said"), [(61, True, 2, SILENT), (60, False, 2, ""), (29, False, 0, SHORT)])
def test_a_stream_that_ends_or_falls_silent_is_answered_up_to_there(num_frames, is_silent, stop, said, run, capsys):
    class Stream:
        def __init__(self, source, fps):
            pass

        def decoded(self):
            yield from ((number, number) for number in range(num_frames))
            if is_silent:
                raise av.error.ExitError(1, "timed out", "rtsp://camera")

        def picture(self, frame, max_short_side):
            return np.full((2, 2, 3), frame)

    assert run("rtsp://camera", Video=Stream) == bool(said)
    printed = capsys.readouterr()
    assert [json.loads(line)["stop"] for line in printed.out.splitlines()] == [stop] * bool(stop)
    assert printed.err == (f"rtsp://camera: {said}\n" if said else "")


def test_a_film_that_fails_on_its_way_is_named_and_answered_up_to_there_and_so_is_the_next_one(tmp_path, run, capsys):
    films = [tmp_path / name for name in ("mixed.mp4", "broken.mp4", "plain.mp4")]
    for film in films:
        film.touch()

    def windows(source, contract, stride):
        for number, side in enumerate([2, 3] if "mixed" in source else [2]):
            yield 30 * number, 30 * number + 30, {"frames": np.zeros((1, side, side, 3))}
        if "broken" in source:
            raise OSError(5, "it is damaged")

    assert run(*films, windows=windows) == 1
    printed = capsys.readouterr()
    assert [json.loads(line)["source"] for line in printed.out.splitlines()] == [str(film) for film in films[1:]]
    assert printed.err == f"{films[0]}: all input arrays must have the same shape\n{films[1]}: it is damaged\n"

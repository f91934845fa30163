import pytest

from tasks.errors import BadVideo
from tasks.video.frames import read_frames
from tasks.video.memory import undivided
from tasks.video.probe import count_frames


def test_as_many_frames_are_counted_as_can_be_read(shared):
    clip = next(iter(sorted((shared / "videos").rglob("*.mp4"))))
    num_frames = count_frames(clip, memory=undivided())
    assert len(read_frames(clip, [num_frames - 1], short_side=None)) == 1
    with pytest.raises(BadVideo):
        read_frames(clip, [num_frames], short_side=None)


@pytest.mark.parametrize("name", ["zero_byte.mp4", "truncated_no_moov.mp4", "audio_only.m4a"])
def test_a_file_without_frames_is_refused(shared, name):
    with pytest.raises(BadVideo, match=name):
        count_frames(shared / "videos" / "odd" / name, memory=undivided())

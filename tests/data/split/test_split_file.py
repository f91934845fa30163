import pytest

from tasks.data.split.split_file import read_split_csv, write_split_csv
from tasks.errors import BadDataset


def test_old_lines_keep_their_order_and_new_ones_follow_sorted():
    kept = read_split_csv(b"source,split\nz,val\na,train\n")
    written = write_split_csv(kept, {"a": "train", "z": "val", "kitchen, 2": "test", "b": "train"})
    assert written == b'source,split\nz,val\na,train\nb,train\n"kitchen, 2",test\n'
    assert list(read_split_csv(written)) == ["z", "a", "b", "kitchen, 2"]
    assert write_split_csv(read_split_csv(written), {}) == written


def test_what_excel_makes_of_it_is_read():
    assert read_split_csv("\ufeffsource;split\r\nz;val\r\n".encode()) == {"z": "val"}
    assert read_split_csv(b"source,split\n") == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "split.csv is empty"),
        (b"video,split\na,val\n", "not a known header"),
        (b"source,split\na,val\nb,vall\n", "line 3: 'b' has the split 'vall'; write one of train, val, test"),
        (b"source,split\na,val\nb,\n", "line 3: 'b' has the split ''"),
        (b"source,split\na,val\nb;val\n", "line 3 has one cell where the header has 2"),
        (b"source,split\n,val\n", "line 2: ''"),
        (b"source,split\na,val\na,train\n", "line 3 repeats 'a'"),
    ],
)
def test_a_damaged_file_is_refused_by_line(content, message):
    with pytest.raises(BadDataset, match=message):
        read_split_csv(content)

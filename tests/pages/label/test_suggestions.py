"""What the tables of a prediction suggest."""

from tasks.pages.label.clips import SuggestedInterval, predicted_intervals
from tasks.predict.files import INTERVAL_COLUMNS
from tasks.store.records.dataset import NO_OBJECT


def table(*rows: str, columns=INTERVAL_COLUMNS) -> bytes:
    return "\r\n".join([",".join(columns), *rows, ""]).encode()


def test_intervals_are_those_of_the_first_network_by_video_and_time():
    found = predicted_intervals(
        table(
            "a.mp4,aa,champion,8,12.5,take,bag,take bag,0,20,0.7",
            "a.mp4,aa,baseline,0,4,move,pan,move pan,9,5,0.9",
            "a.mp4,aa,champion,0,4,put,meat,put meat,1,26,0.8",
            "b.mp4,bb,champion,2,4,wave,(none),wave,130,0,0.6",
        ),
        "champion",
    )
    assert found == {
        "aa": (SuggestedInterval("put", "meat", 0.8, 0, 4), SuggestedInterval("take", "bag", 0.7, 8, 12.5)),
        "bb": (SuggestedInterval("wave", NO_OBJECT, 0.6, 2, 4),),
    }


def test_intervals_of_a_network_without_nouns_have_no_object():
    columns = [name for name in INTERVAL_COLUMNS if not name.startswith(("noun", "action"))]
    found = predicted_intervals(table("a.mp4,aa,champion,0,4,wave,130,0.8", columns=columns), "champion")
    assert found == {"aa": (SuggestedInterval("wave", NO_OBJECT, 0.8, 0, 4),)}


def test_a_prediction_without_a_stride_has_no_intervals():
    assert predicted_intervals(b"", "champion") == {}

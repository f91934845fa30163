"""Which objects of a bucket a source means, and under which names."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.data.clips.sources import matching_objects
from tasks.errors import BadConfiguration, BadInput
from tasks.store.objects import StoredObject
from tasks.store.stored import names_objects
from tests.pipeline.shelf import Shelf

KEYS = [
    "a.mp4",
    "cam1/2025-12-31/a.mp4",
    "cam1/2026-01-01/a.mp4",
    "cam1/2026-01-01/am/b.mp4",
    "cam1/2026-01-01/labels.csv",
    "cam2/.trash/a.mp4",
    "cam2/2026-01-02/.a.mp4",
    "cam2/2026-01-02/c+(1).mp4",
    "other/2026-01-01/a.mp4",
]
FILMS = "s3+nas://films/"
folder_names = st.text("ab*.+[]$ ", min_size=1, max_size=4).filter(lambda name: not name.startswith("."))


def bucket_of(keys, root=FILMS):
    shelf = Shelf(buckets=("films",))
    shelf.objects |= {f"{root}{key}": b"film" for key in keys}
    return shelf


def names_of(source, keys=KEYS):
    return [file.name for file in matching_objects(source, bucket_of(keys))]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("cam*/2026-*/**.mp4", ["cam1/2026-01-01/a.mp4", "cam1/2026-01-01/am/b.mp4", "cam2/2026-01-02/c+(1).mp4"]),
        ("cam*/2026-*/*.mp4", ["cam1/2026-01-01/a.mp4", "cam2/2026-01-02/c+(1).mp4"]),
        ("cam1/2026-*/*", ["2026-01-01/a.mp4", "2026-01-01/labels.csv"]),
        ("cam1/**/a.mp4", ["2025-12-31/a.mp4", "2026-01-01/a.mp4"]),
        ("**/a.mp4", ["a.mp4", "cam1/2025-12-31/a.mp4", "cam1/2026-01-01/a.mp4", "other/2026-01-01/a.mp4"]),
        ("cam1/2026-01-01/", ["a.mp4", "am/b.mp4", "labels.csv"]),
        ("cam2/2026-01-02/c+(1).mp4", ["c+(1).mp4"]),
        ("*", ["a.mp4"]),
        ("cam3/**", []),
    ],
)
def test_a_pattern_means_these_objects_by_these_names(pattern, names):
    assert names_of(f"{FILMS}{pattern}") == names


@given(folders=st.lists(folder_names, min_size=1, max_size=4))
def test_a_folder_means_exactly_what_its_pattern_means(folders):
    keys = ["/".join(folders[:depth]) for depth in range(1, len(folders) + 1)]
    assert names_of("s3+nas://films", keys) == names_of(FILMS, keys) == names_of(f"{FILMS}**", keys) == keys
    assert names_of(f"{FILMS}*", keys) == keys[:1]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        *((source, True) for source in ("s3+nas://films/a.mp4", "s3://films/**.mp4", "s3://films/day/")),
        *((source, False) for source in ("s3://films/a.mp4", "https://h/*.mp4", "/films/*.mp4")),
    ],
)
def test_patterns_are_told_from_other_sources(source, expected):
    assert names_objects(source) == expected


@pytest.mark.parametrize(
    ("source", "raised", "told"),
    [
        ("s3+nas://film/**", BadInput, r"s3\+nas://film/\*\*: there is no such bucket"),
        ("s3+nas://fil*/**", BadInput, r"s3\+nas://fil\*/\*\*: the name of a bucket has no `\*`"),
        ("s3+my nas://films/**", BadConfiguration, "is not an address in the object store"),
    ],
)
def test_a_source_without_a_bucket_is_named(source, raised, told):
    with pytest.raises(raised, match=told):
        list(matching_objects(source, bucket_of(KEYS)))


def test_of_many_objects_only_those_that_match_are_held():
    class Large(Shelf):
        def list(self, prefix_uri):
            return (StoredObject(f"{prefix_uri}{number:06}.mp4", "e", 1, "") for number in range(20_000))

    tracemalloc.start()
    matching = list(matching_objects(f"{FILMS}*999.mp4", Large()))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(matching) == 20
    assert peak_bytes < 100_000

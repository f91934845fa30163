import csv
import io
import re
import unicodedata
from time import process_time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.judge.report.templating import leaning
from tasks.wording import (
    clock,
    count,
    count_with_verb,
    duration,
    listed,
    markdown_text,
    p_value,
    percent,
    percent_interval,
    plain_cell,
    plain_count,
    points,
    quantity,
    quoted,
    roughly,
    safe_cell,
    signed,
    size,
    stretch,
    text_of_cell,
    without_secrets,
)
from tests.judge.report.tree import HOSTILE, rendered


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (percent, {0.3478: "34.8 %"}),
        (clock, {0: "0:00", 8: "0:08", 61.04: "1:01", 3599.96: "1:00:00", 2.5: "0:02.5"}),
        (lambda seconds: stretch(*seconds), {(24, 32): "0:24\N{EN DASH}0:32"}),
        (percent_interval, {(-0.0001, 0.52149): "[0.0, 52.1]", (-1, 1): "[\N{MINUS SIGN}100.0, 100.0]"}),
        (lambda number: count(number, "clip"), {1: "1 clip", 0: "0 clips", 12000: "12,000 clips"}),
        (lambda number: count(number, "class"), {1: "1 class", 1200: "1,200 classes"}),
        (lambda number: count_with_verb(number, "clip"), {0: "0 clips are", 1: "1 clip is", 1200: "1,200 clips are"}),
        (lambda number: count_with_verb(number, "clip", "has", "have", of=2), {0: "0 of 2 clips have", 1: "1 of 2 clips has"}),
        (lambda number: count_with_verb(number, "clip", of=1), {0: "0 of 1 clip is", 1: "1 of 1 clip is"}),
        (lambda number: plain_count(number, "clip"), {1: "1 clip", 12000: "12000 clips"}),
        (quantity, {1200: "1,200", 24_485_405: "24.5 million", 999_600_000: "1.00 billion", 655_402_000_000: "655 billion"}),
        (signed, {0.083: "+8.3", -0.083: "\N{MINUS SIGN}8.3", -0.0002: "0.0"}),
        (points, {-0.083: "8.3 points", 0.01: "1.0 point"}),
        (p_value, {0.015625: "p = 0.016", 0.0004: "p < 0.001", 1.0: "p = 1"}),
        (roughly, {7: "about 7", 231: "about 240", 1201: "about 1,300"}),
        (quoted, {"a \n# b": "'a # b'"}),
        (duration, {0: "0 s", 0.0042: "4.20 ms", 0.018: "18 ms", 0.9999: "1.00 s", 1.85: "1.85 s", 41.2: "41 s"}),
        (duration, {128: "2 min 08 s", 300: "5 min 00 s", 7380: "2 h 03 min", 3_600_000: "1,000 h 00 min"}),
        (size, {0: "0 bytes", 999: "999 bytes", 1536: "1.5 KiB", 1023 << 10: "1023 KiB", 98 << 20: "98 MiB", 3 << 40: "3 TiB"}),
        (listed, {("a",): "a", ("a", "b"): "a and b", ("a", "b", "c"): "a, b and c"}),
    ],
)
def test_numbers_in_words(write, expected):
    assert {value: write(value) for value in expected} == expected


def test_a_long_name_is_cut():
    assert len(quoted("x" * 500)) == 63
    assert quoted(f"https://me:{60 * 'S'}@h/x") == "'https://h/x'"


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_is_more_than_text_in_markdown(name):
    assert rendered(markdown_text(name)) == (["p"], [], " ".join(name.split()))


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_breaks_a_table_a_list_or_bold_type(name):
    tags, links, text = rendered(f"| a | b |\n| --- | --- |\n| {markdown_text(name)} | end |")
    assert (tags.count("td"), links) == (2, [])
    assert text == f"a b {' '.join(name.split())} end"
    assert rendered(f"- {markdown_text(name)}")[0] == ["ul", "li"]
    assert rendered(f"x **{markdown_text(f'a {name} b')}**")[0] == ["p", "strong"]


def test_plain_words_stay_as_they_are():
    assert markdown_text("fine-tuned: 34.8 % (8 of 23), p = 0.016 + 1") == "fine-tuned: 34.8 % (8 of 23), p = 0.016 + 1"


def test_only_a_val_split_that_chose_an_epoch_leans_towards_the_network():
    assert "test_share" in leaning("val", chose_epoch=True)
    assert leaning("val", chose_epoch=False) == leaning("test", chose_epoch=True) == ""


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("  -1", "'-1"),
        ("\N{FULLWIDTH EQUALS SIGN}1+1", "'\N{FULLWIDTH EQUALS SIGN}1+1"),
        ("\N{FULLWIDTH COMMERCIAL AT}SUM(A1)", "'\N{FULLWIDTH COMMERCIAL AT}SUM(A1)"),
        ("a;=1+1", "a;'=1+1"),
        ("a; \t=1+1;@x", "a; '=1+1;'@x"),
        ('a;"=1+1"', 'a;"\'=1+1"'),
        ("put meat, - a.mp4", "put meat, - a.mp4"),
        ("1-2=3; 4", "1-2=3; 4"),
        ("two\nlines", "two lines"),
        (-1.5, -1.5),
    ],
)
def test_a_formula_becomes_text_and_text_and_numbers_stay(text, cell):
    assert plain_cell(text) == cell
    assert plain_cell(cell) == cell


@pytest.mark.parametrize("written", [plain_cell, safe_cell])
@given(text=st.text(alphabet="a=+-@;|,\"' \t\n\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{SUPERSCRIPT EQUALS SIGN}"))
@example(text="\N{FULLWIDTH EQUALS SIGN}1+1")
def test_no_cell_begins_with_a_sign_whichever_delimiter_a_spreadsheet_takes(written, text):
    assert text_of_cell(safe_cell(text)) == text
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerow([written(text), "end"])
    for delimiter in ",;|\t":
        for cell in next(csv.reader([file.getvalue()], delimiter=delimiter)):
            assert unicodedata.normalize("NFKC", cell.strip())[:1] not in "=+-@" or not cell.strip()


SIGNS = st.text("S3cr/:@?&=#'%+~", max_size=12)
PLACES = st.sampled_from(["h.example/a/b.mp4", "h.example:8080", "[::1]:80/x", "127.0.0.1/c%20d.mp4"])


@given(
    place=PLACES,
    login=st.sampled_from(["", "me@", "me%40x@"]) | SIGNS.map("me:{}@".format),
    query=st.none() | SIGNS,
    token=st.none() | SIGNS,
    around=st.sampled_from(["{}", "{}: too large", "'{}' is not an address (bad); correct it", "a.mp4: {}, https://h/b", '["{}"]']),
)
@example(place="h/x", login="me:12/34@", query=None, token=None, around="{}")
@example(place="h/x", login="me:12?34@", query=None, token=None, around="{}")
@example(place="h/x", login="me:3/@", query=None, token=None, around="{}")
@example(place="h/x", login="me:3/@", query="1", token=None, around="{}")
@example(place="h:80/x", login="", query="1@2", token=None, around="{}")
def test_an_address_is_written_without_its_secrets(place, login, query, token, around):
    address = f"https://{login}{place}{'' if query is None else f'?k={query}>'}{'' if token is None else f'#t={token}>'}"
    # A colon begins a port or a password, which may hold `?`: nobody can tell a host after `@` from a secret.
    path = "" if re.match(r"https://[^/?#[]*:[^?#]*[?#].*@", address) else place
    if re.match(r"https://me:3{1,5}/([^@?#]|(?<=/)@)*(?![^?#])", address) and path:
        path = place = f"{login}{place}"  # a port, and a path with `@` at the start of a name
    expected = f"https://{path}{'?…' if (query, token, path) != (None, None, place) else ''}"
    assert without_secrets(around.format(address)) == around.format(expected)
    assert without_secrets(around.format(expected)) == around.format(expected)


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (without_secrets, f"http://h/?{32_000 * '.'}a"),
        (without_secrets, f"http://h/?{32_000 * '.a'}"),
        (without_secrets, 16_000 * "a."),
        (without_secrets, 10_000 * "://b:"),
        (without_secrets, 10_000 * "://b:x "),
        (without_secrets, 10_000 * "s3://b:x "),
        (without_secrets, 10_000 * "://b:1/@"),
        (without_secrets, 10_000 * "://b:x y@"),
        (without_secrets, f"://b:{40_000 * 'x '}"),
        (without_secrets, 10_000 * "s3://b:"),
        (safe_cell, "a" + 16_000 * "\t" + "b"),
        (text_of_cell, "a" + 32_000 * "\t" + "b'"),
    ],
)
def test_the_time_grows_no_faster_than_a_text(written, text):
    start = process_time()
    written(text)
    assert process_time() - start < 1


@pytest.mark.parametrize(
    "text",
    [
        "s3://retake/a?b#c.mp4",
        "s3+nas-2://films/a?b@c.mp4",
        "http://127.0.0.1:5000/#/experiments/1/runs/2",
        "https://h/@me/a.mp4: gone",
        "https://nas:8443/x/@y",
        "s3://retake: ask a@b",
        "a?b: models:/m@champion",
        "https://example.org: no answer from root@host/path",
        "https://example.org: no package @scope/name",
    ],
)
def test_an_address_without_secrets_stays(text):
    assert without_secrets(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://key:secret@bucket/a.mp4", "s3://bucket/a.mp4"),
        ("--store s3://key:se/cr+et=@bucket/a@b.mp4?c --out x@y", "--store s3://bucket/a@b.mp4?c --out x@y"),
        ("s3://key@bucket/a.mp4", "s3://bucket/a.mp4"),
        ("s3+nas://key:secret@bucket/a.mp4", "s3+nas://bucket/a.mp4"),
        ("s3+nas://films/a,https://me:secret@h/b?c", "s3+nas://films/a,https://h/b?…"),
        ("s3://key:se@cret@bucket/a.mp4", "s3://bucket/a.mp4"),
        ("s3://key@x:secret@bucket/a.mp4", "s3://bucket/a.mp4"),
        ("at https://me:pass word@h/a.mp4, or not", "at https://h/a.mp4, or not"),
        ("https://me:8 pass@h/a?b", "https://h/a?…"),
        ("https://me:a?b c@h/x", "https://h/x"),
    ],
)
def test_a_login_is_removed(text, expected):
    assert without_secrets(text) == expected


PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=30)


@given(
    user=st.sampled_from(["me", "me@h.example", "1"]),
    # Digits and a path are a port, `//` begins another address, and so may a space after the colon where the scheme is s3.
    typed=(PRINTABLE | st.text("1 2@a:/'", min_size=1, max_size=12)).filter(lambda text: not re.match(r"\d{1,5}/|/?/| |.*:/", text)),
    place=st.sampled_from(["https://{}h.example/a.mp4", "http://{}[::1]:80/a.mp4", "s3://{}bucket/a.mp4"]),
    around=st.sampled_from(["{}", "{}: too large", "'{}' is bad; see models:/m@champion"]),
)
@example(user="me", typed="12 34", place="https://{}h.example/a.mp4", around="{}")
@example(user="me", typed="1 2 3", place="https://{}h.example/a.mp4", around="{}")
@example(user="me", typed="a b@c d", place="https://{}h.example/a.mp4", around="{}")
@example(user="me", typed="'a b", place="https://{}h.example/a.mp4", around="{}")
@example(user="me", typed="1@ @", place="s3://{}bucket/a.mp4", around="{}")
def test_no_password_of_printable_characters_is_written(user, typed, place, around):
    written = without_secrets(around.format(place.format(f"{user}:{typed}@")))
    hidden = f"{place.partition('{')[0]}?…"
    assert written in {around.format(place.format("")), around.format(hidden)}

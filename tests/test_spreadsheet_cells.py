import csv
import io
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.wording import plain_cell

SIGNS = "=+-@"


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
    ],
)
def test_a_formula_becomes_text_and_text_stays(text, cell):
    assert plain_cell(text) == cell
    assert plain_cell(cell) == cell


def test_numbers_stay_numbers():
    assert plain_cell(-1.5) == -1.5


@given(st.text(alphabet="a=+-@;|,\"' \t\n\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{SUPERSCRIPT EQUALS SIGN}"))
@example("\N{FULLWIDTH EQUALS SIGN}1+1")
def test_no_cell_begins_with_a_sign_whichever_delimiter_a_spreadsheet_takes(text):
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerow([plain_cell(text), "end"])
    for delimiter in ",;|\t":
        for cell in next(csv.reader([file.getvalue()], delimiter=delimiter)):
            assert unicodedata.normalize("NFKC", cell.strip())[:1] not in SIGNS or not cell.strip()

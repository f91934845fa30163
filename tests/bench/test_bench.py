import json
from functools import partial
from pathlib import Path

import pytest

from tests.bench import material
from tests.bench.__main__ import main
from tests.bench.measure import Row, alternate
from tests.bench.table import markdown, write_docs

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
ROW = Row("x", "A thing", "s", {"old": [1.0, 2.0, 3.0], "new": [0.5, 1.0, 6.0]}, "old", target="less", limit="0 s", how="By hand.")


def test_variants_take_turns_and_each_begins_a_repetition():
    order = []
    values = alternate({name: lambda name=name: order.append(name) for name in "abc"}, 3)
    assert "".join(order) == "abcbcacab"
    assert {name: len(found) for name, found in values.items()} == {"a": 3, "b": 3, "c": 3}
    assert alternate({"own figure": lambda: 7.0}, 2) == {"own figure": [7.0, 7.0]}


def test_a_ratio_is_of_values_that_shared_their_noise():
    assert ROW.ratio("new") == 0.5
    assert ROW.quartiles("old") == (1.5, 2.0, 2.5)
    assert ROW.as_json()["variants"]["new"]["ratio_to_reference"] == 0.5


def test_the_table_goes_between_the_markers_alone(tmp_path: Path):
    docs = tmp_path / "performance.md"
    docs.write_text(f"# Before\n{BEGIN}\nNot measured yet\n{END}\nafter\n")
    for _ in range(2):
        write_docs(docs, markdown([ROW], "a machine"))
    text = docs.read_text()
    assert text.startswith(f"# Before\n{BEGIN}\nMeasured on: a machine.")
    assert text.endswith(f"{END}\nafter\n")
    assert "| A thing | old | 2 s | 1.5 to 2.5 | reference |" in text
    assert "|  | new | 1 s | 0.75 to 3.5 | 0.5 x |" in text
    assert "**A thing.** By hand. Target: less. Limit: 0 s." in text
    with pytest.raises(ValueError, match="bench: begin"):
        write_docs(Path(__file__).with_name("measure.py"), "")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "variant"), [("item", "frame cache"), pytest.param("recipes", "probe", marks=pytest.mark.long)])
def test_the_harness_runs(name, variant, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(material, "videos", lambda folder, most: [])  # one is drawn
    monkeypatch.setattr(material, "drawn", partial(material.drawn, size="160x120"))
    assert main(["--quick", "--only", name, "--json", str(tmp_path / "bench.json"), "--scratch", str(tmp_path)]) == 0
    written = json.loads((tmp_path / "bench.json").read_text())
    (row,) = written["rows"]
    assert row["reference"] in row["variants"]
    assert set(written["machine"]) >= {"cpu", "cores", "memory_gib", "versions", "load_average_at_start"}
    assert variant in capsys.readouterr().out

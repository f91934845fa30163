import pytest

from tasks.data.clips import label_inputs
from tasks.data.clips.label_inputs import keep_epic_lists
from tests.http_servers import served
from tests.pipeline.shelf import Shelf

VERBS, NOUNS = (f"s3://retake/pretrained/EPIC_{target}_classes.csv" for target in ("verb", "noun"))


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A folder that a server has in place of EPIC's."""
    with served(tmp_path) as address:
        monkeypatch.setattr(label_inputs, "EPIC_ADDRESS", f"{address}/")
        yield tmp_path


def test_lists_are_kept_beside_the_weights_and_one_that_is_there_stays(published):
    (published / "EPIC_verb_classes.csv").write_text("verb_id,class_key,verbs\n0,take,\"['take', 'grab']\"\n")
    (published / "EPIC_noun_classes.csv").write_text("noun_id,class_key,nouns\n1,other,\"['other']\"\n")
    shelf = Shelf()
    shelf.write_bytes(NOUNS, b"noun_id,class_key,nouns\n1,pan,\"['pan']\"\n")
    keep_epic_lists(shelf, "s3://retake", allow_private=True)
    assert shelf.objects[VERBS] == (published / "EPIC_verb_classes.csv").read_bytes()
    assert b"pan" in shelf.objects[NOUNS]


def test_a_list_that_is_not_there_or_none_costs_a_warning(published, caplog):
    (published / "EPIC_verb_classes.csv").write_text("<html>Log in to this network</html>")
    shelf = Shelf()
    keep_epic_lists(shelf, "s3://retake", allow_private=True)
    assert not shelf.objects
    first, second = caplog.messages
    assert "is not a list of classes; or put EPIC_verb_classes.csv under pretrained/" in first
    assert "404" in second

"""The documentation against the repository."""

import re

import pytest

from tasks.local.home import REPOSITORY

FOLDERS = ("dags", "docker", "docs", "tasks", "tests")
PAGES = [*sorted(REPOSITORY.glob("docs/*.md")), REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", REPOSITORY / "SECURITY.md"]
PLACES = [f"/{path.relative_to(REPOSITORY)}/" for folder in FOLDERS for path in (REPOSITORY / folder, *(REPOSITORY / folder).rglob("*"))]


def paths_in(text: str) -> set[str]:
    """Find backticked words that begin with a folder of the repository, or end in `.py`; skip placeholders such as `dags/NAME.py`."""
    words = {word for span in re.findall(r"`([^`\n]+)`", text) for word in re.split(r"[\s=:,]", span)}
    paths = {
        word
        for word in words
        if re.fullmatch(r"[\w./-]+", word) and (word.endswith(".py") or word.startswith(tuple(f"{f}/" for f in FOLDERS)))
    }
    return {path for path in paths if "NAME" not in path}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_paths_that_a_page_names_exist(page):
    missing = {
        path for path in paths_in(page.read_text(encoding="utf-8")) if not any(place.endswith(f"/{path.rstrip('/')}/") for place in PLACES)
    }
    assert missing == set()


def test_a_path_is_told_from_other_code():
    text = "`tests/x/test_y.py`, `make test ARGS=tests/local`, `jobs/z.py`, `dags/NAME.py`, `python -m tasks plan`, `videos/abc/probe.json`, `tasks/`"
    assert paths_in(text) == {"tests/x/test_y.py", "tests/local", "jobs/z.py", "tasks/"}

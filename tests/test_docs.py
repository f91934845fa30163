import ast
import re
from fnmatch import fnmatchcase

import grimp
import pytest

from tasks.local.home_folder import REPOSITORY
from tasks.pages.home.app import reading_order

FOLDERS = ("dags", "docker", "docs", "tasks", "tests")
PAGES = [*sorted(REPOSITORY.glob("docs/*.md")), REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", REPOSITORY / "SECURITY.md"]
ROOMS = sorted(path.parent.name for path in REPOSITORY.glob("tasks/*/__init__.py"))
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


def test_the_readme_says_of_each_page_when_to_read_it():
    assert sorted(reading_order(REPOSITORY / "README.md")) == sorted(path.name for path in REPOSITORY.glob("docs/*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_paths_that_a_page_names_exist(page):
    missing = {
        path for path in paths_in(page.read_text(encoding="utf-8")) if not any(place.endswith(f"/{path.rstrip('/')}/") for place in PLACES)
    }
    assert missing == set()


def test_a_path_is_told_from_other_code():
    text = "`tests/x/test_y.py`, `make test ARGS=tests/local`, `jobs/z.py`, `dags/NAME.py`, `python -m tasks plan`, `videos/abc/probe.json`, `tasks/`"
    assert paths_in(text) == {"tests/x/test_y.py", "tests/local", "jobs/z.py", "tasks/"}


@pytest.fixture(scope="module")
def graph():
    return grimp.build_graph("tasks", "dags", cache_dir=None)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_names_the_modules_that_other_rooms_import(graph, room):
    own = f"tasks.{room}."
    below = [name for name in graph.modules if name.startswith(own)]
    importers = {name: graph.find_modules_that_directly_import(name) - {own[:-1], *below} for name in below}
    imported = {name.removeprefix(own) for name in below if importers[name]}
    docstring = ast.get_docstring(ast.parse((REPOSITORY / "tasks" / room / "__init__.py").read_text())) or ""
    named = re.findall(r"`([\w.*]+)`", docstring.partition("Other rooms import ")[2])
    assert {name for name in imported if not any(fnmatchcase(name, pattern) for pattern in named)} == set()
    assert [pattern for pattern in named if not any(fnmatchcase(name, pattern) for name in imported)] == []


MAX_FIRST_LINE_WORDS = 15


def test_first_lines_of_docstrings_are_short():
    paths = [path for folder in ("dags", "docker", "tasks") for path in (REPOSITORY / folder).rglob("*.py")]
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    lines = [
        (path.relative_to(REPOSITORY), docstring.splitlines()[0])
        for path in paths
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, kinds) and (docstring := ast.get_docstring(node))
    ]
    assert len(lines) > 1000
    assert [(str(path), line) for path, line in lines if len(line.split()) > MAX_FIRST_LINE_WORDS] == []

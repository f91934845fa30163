"""The plugins of the pages: the imports that loading them costs, and their needs."""

import asyncio
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from threading import Event

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from starlette.testclient import TestClient

from dags.plugins.pages import make_home, make_label, mounted
from tasks.data.clips.gather_labels import labelled_in_child
from tasks.local.choices import SAMPLE_STORE, SAMPLES
from tasks.local.home_folder import REPOSITORY
from tasks.pages.home.app import STATIC as HOME
from tasks.pages.label.app import STATIC
from tasks.settings import LABEL_PATH, REPORT_PATH
from tests.dags.conftest import tell_where

PLUGIN = """
import sys
import airflow.plugins_manager
before = set(sys.modules)
from dags.plugins.pages import HomePage, LabelPage
assert not {name for name in set(sys.modules) - before if name.partition('.')[0] in ('fastapi', 'minio', 'tasks')}
for middleware in LabelPage.fastapi_root_middlewares:
    assert middleware["middleware"](print) is print
import threading
for thread in threading.enumerate():
    if thread.name == "labelling-imports":
        thread.join()
assert "tasks.pages.label.app" in sys.modules
for plugin in sorted((LabelPage, HomePage), key=lambda plugin: plugin.name):
    (view,) = plugin.external_views
    print(view["icon"], view["icon_dark_mode"])
print(*(app["url_prefix"] for app in HomePage.fastapi_apps))
"""


@pytest.mark.slow
def test_the_plugin_imports_nothing_of_the_page_before_an_api_server_starts():
    done = subprocess.run([sys.executable, "-c", PLUGIN], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    *icons, label, trigger, report, home = done.stdout.split()[-8:]
    # The first that holds an address answers it.
    assert (f"{label}/", trigger, f"{report}/", home) == (LABEL_PATH, "/retake/trigger", REPORT_PATH, "/retake")
    folders = ("retake/home/static", HOME), ("retake/label/static", STATIC)
    for icon, (at, static) in zip(icons, [folder for folder in folders for _ in range(2)], strict=True):
        folder, _, name = icon.rpartition("/")
        assert folder == at
        assert (static / name).is_file()


def test_while_its_first_request_makes_a_page_the_server_answers_others_and_makes_it_once():
    made, answered, go_on = [], [], Event()

    async def page(scope, *_):
        answered.append(scope)

    def make():
        made.append(page)
        assert go_on.wait(60), "the server answers no other meanwhile"
        return page

    async def visit():
        app = mounted("/p", "A page", make)["app"]
        first, second = (asyncio.ensure_future(app(number, None, None)) for number in range(2))
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(first, second)
        await app(2, None, None)

    asyncio.run(visit())
    assert (len(made), sorted(answered)) == (1, [0, 1, 2])


def test_a_page_that_settings_keep_from_being_made_says_so_and_is_there_once_they_are_right(monkeypatch, caplog):
    tell_where(monkeypatch, "127.0.0.1:1")
    monkeypatch.setenv("RETAKE_LABEL_SECOND_SHARE", "10")
    page = TestClient(mounted("/p", "A page", make_label)["app"])
    answer = page.get("/static/login.js")
    assert (answer.status_code, "RETAKE_LABEL_SECOND_SHARE" in answer.text) == (503, True)
    assert "A page: environment: RETAKE_LABEL_SECOND_SHARE" in caplog.text
    monkeypatch.setenv("RETAKE_LABEL_SECOND_SHARE", "0.1")
    assert page.get("/static/login.js").status_code == 200


def test_no_label_file_is_read_in_the_api_server(monkeypatch):
    tell_where(monkeypatch, "127.0.0.1:1")
    monkeypatch.setattr("tasks.pages.label.app.make_app", lambda stores, *_: stores)
    assert {data._label for data in make_label()} == {labelled_in_child}


def test_the_page_has_the_samples_and_the_documentation_of_the_checkout(monkeypatch):
    tell_where(monkeypatch, "127.0.0.1:1")
    monkeypatch.setattr("tasks.pages.home.app.make_app", lambda *given: given)
    *_, docs, samples = make_home()
    assert (docs / "architecture.md").is_file()
    assert samples.store == samples.conf["store"] == SAMPLE_STORE
    assert samples.conf["sources"] == [str(SAMPLES)]


ONLY = """
import sys
missing = set(sys.argv[1:])
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in missing:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Blocker())
import tasks.local.choices, tasks.pages.home.app, tasks.pages.label.app, tasks.pages.web, tasks.pages.trigger_form
"""


@pytest.mark.slow
def test_the_pages_import_nothing_that_the_image_of_airflow_lacks():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    installed = with_dependencies([*project["dependencies"], *project["optional-dependencies"]["airflow"]])
    missing = [
        package
        for package, distributions in packages_distributions().items()
        if package not in ("tasks", "dags", "tests") and installed.isdisjoint(map(canonicalize_name, distributions))
    ]
    assert {"torch", "pandas"} <= set(missing)
    done = subprocess.run([sys.executable, "-c", ONLY, *missing], cwd=REPOSITORY, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr


def with_dependencies(requirements: list[str]) -> set[str]:
    """Name the distributions that these requirements install here."""
    names, open_ = set[str](), [Requirement(text) for text in requirements]
    while open_:
        required = open_.pop()
        key = canonicalize_name(required.name)
        extras = required.extras or {""}
        if key in names or (required.marker and not required.marker.evaluate({"extra": ""})):
            continue
        names.add(key)
        try:
            further = [Requirement(text) for text in requires(required.name) or ()]
        except PackageNotFoundError:
            continue
        for requirement in further:
            if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras):
                requirement.marker = None
                open_.append(requirement)
    return names

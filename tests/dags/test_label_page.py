"""What the plugin of the labelling page costs those who load it, and what it needs."""

import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from dags.plugins import label_page
from tasks.data.clips.labelled import labelled_in_child
from tasks.local.home import REPOSITORY
from tasks.pages.label.app import STATIC
from tasks.settings import LABEL_PATH
from tests.dags.conftest import tell_where

PLUGIN = """
import sys
import airflow.plugins_manager
before = set(sys.modules)
from dags.plugins.label_page import LabelPage, import_ahead
assert not {name for name in set(sys.modules) - before if name.partition('.')[0] in ('fastapi', 'minio', 'tasks')}
for middleware in LabelPage.fastapi_root_middlewares:
    assert middleware["middleware"](print) is print
import threading
for thread in threading.enumerate():
    if thread.name == "labelling-imports":
        thread.join()
assert "tasks.pages.label.app" in sys.modules
(view,) = LabelPage.external_views
print(view["icon"], view["icon_dark_mode"])
print(LabelPage.fastapi_apps[0]["url_prefix"])
"""


@pytest.mark.slow
def test_the_plugin_imports_nothing_of_the_page_before_an_api_server_starts():
    done = subprocess.run([sys.executable, "-c", PLUGIN], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    *icons, address = done.stdout.split()[-3:]
    assert f"{address}/" == LABEL_PATH
    assert len(icons) == 2
    for icon in icons:
        folder, _, name = icon.rpartition("/")
        assert folder == "retake/label/static"
        assert (STATIC / name).is_file()


def test_no_label_file_is_read_in_the_api_server(monkeypatch):
    tell_where(monkeypatch, "127.0.0.1:1")
    monkeypatch.setattr("tasks.pages.label.app.make_app", lambda stores, *_: stores)
    assert {data._label for data in label_page._application.__wrapped__()} == {labelled_in_child}


ONLY = """
import sys
missing = set(sys.argv[1:])
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in missing:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Blocker())
import tasks.pages.label.app, tasks.pages.trigger_form
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
    found, open_ = set[str](), [Requirement(one) for one in requirements]
    while open_:
        required = open_.pop()
        key = canonicalize_name(required.name)
        extras = required.extras or {""}
        if key in found or (required.marker and not required.marker.evaluate({"extra": ""})):
            continue
        found.add(key)
        try:
            further = [Requirement(one) for one in requires(required.name) or ()]
        except PackageNotFoundError:
            continue
        for one in further:
            if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in extras):
                one.marker = None
                open_.append(one)
    return found

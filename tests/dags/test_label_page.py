"""What the plugin of the labelling page costs those who load it."""

import subprocess
import sys

from tasks.labelling.app import STATIC

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
assert "tasks.labelling.app" in sys.modules
(view,) = LabelPage.external_views
print(view["icon"], view["icon_dark_mode"])
"""


def test_the_plugin_imports_nothing_of_the_page_before_an_api_server_starts():
    done = subprocess.run([sys.executable, "-c", PLUGIN], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    icons = done.stdout.split()
    assert len(icons) == 2
    for icon in icons:
        folder, _, name = icon.rpartition("/")
        assert folder == "retake/label/static"
        assert (STATIC / name).is_file()

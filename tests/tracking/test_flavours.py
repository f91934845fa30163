"""What is packed into a registered model besides its checkpoint."""

from pathlib import Path
from types import SimpleNamespace

import tasks.served
from tasks.local.home_folder import REPOSITORY
from tasks.tracking import flavours
from tasks.tracking.flavours import VideoModel


def test_a_model_holds_the_code_that_its_loader_imports(monkeypatch, tmp_path):
    packed = set()

    def note(code_paths, **_):
        packed.update(str(path.relative_to(Path(code_paths[0]).parent)) for path in Path(code_paths[0]).rglob("*") if path.is_file())

    monkeypatch.setattr(flavours, "mlflow", SimpleNamespace(pyfunc=SimpleNamespace(save_model=note)))
    VideoModel(tmp_path, tasks.served.__name__, REPOSITORY / "tasks", None).save_model("model", None, [])
    assert {"tasks/__init__.py", "tasks/served/videos.py", "tasks/learn/engines/pytorch.py"} <= packed
    # The first is imported in a function, where a network sees flow; the second runs by itself, in a child process.
    assert {"tasks/data/video/flow.py", "tasks/data/video/limited_exec.py"} <= packed
    assert not any(name.startswith(("tasks/pipeline/", "tasks/local/", "tasks/judge/report/", "tasks/learn/training/")) for name in packed)
    assert not any("__pycache__" in name or not name.endswith(".py") for name in packed)

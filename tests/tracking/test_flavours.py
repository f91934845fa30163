"""What is packed into a registered model besides its checkpoint."""

from modulefinder import ModuleFinder
from pathlib import Path
from types import SimpleNamespace

import tasks.served
from tasks.local.home import REPOSITORY
from tasks.tracking import flavours
from tasks.tracking.flavours import LEFT_OUT, FilmModel


def test_the_code_of_a_model_is_all_that_its_loader_imports_and_no_room_besides(monkeypatch, tmp_path):
    packed = set()

    def note(code_paths, **_):
        packed.update(str(path.relative_to(Path(code_paths[0]).parent)) for path in Path(code_paths[0]).rglob("*.*"))

    monkeypatch.setattr(flavours, "mlflow", SimpleNamespace(pyfunc=SimpleNamespace(save_model=note)))
    FilmModel(tmp_path, tasks.served.__name__, REPOSITORY / "tasks", None).save_model("model", None, [])
    imported = ModuleFinder([str(REPOSITORY)])
    for module in (tasks.served.__name__, "tasks.data.video.flow"):  # the second by its name, where a network sees flow
        imported.import_hook(module)
    files = (Path(module.__file__) for module in imported.modules.values() if module.__file__)
    assert {str(file.relative_to(REPOSITORY)) for file in files} <= packed
    assert {"/".join(Path(name).parts[1:-1]) for name in packed}.isdisjoint(LEFT_OUT)
    assert packed.isdisjoint({"tasks/learn/engines/graph.py", "tasks/served/package/predict.py"})

"""What is packed into a registered model besides its checkpoint."""

from pathlib import Path
from types import SimpleNamespace

from tasks.local.home import REPOSITORY
from tasks.tracking import flavours
from tasks.tracking.flavours import FilmModel


def test_the_code_of_a_model_has_its_rooms_and_neither_servers_nor_sample_films(monkeypatch, tmp_path):
    packed = []
    saved = SimpleNamespace(save_model=lambda **given: packed.extend(Path(given["code_paths"][0]).rglob("*.*")))
    monkeypatch.setattr(flavours, "mlflow", SimpleNamespace(pyfunc=saved))
    FilmModel(tmp_path, "tasks.served.films", REPOSITORY / "tasks", None).save_model("model", None, [])
    names = {path.name for path in packed}
    assert {"films.py", "home.py", "kitchen_01.mp4", "label.js"} & names == {"films.py"}

"""Record the costly events of each Python process that a test starts; Python imports this file at start, from PYTHONPATH."""

import os
import sys
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any

EVENTS_FILE = "TEST_EVENTS_FILE"
SERVERS = {"weed": {"mini"}, "mlflow": {"server", "serve"}, "docker": {"up"}}
"""By the program's name: the arguments with which it is a server."""


def record(kind: str, amount: float = 1) -> None:
    """Append an event, with the test that runs, to the file of this test run."""
    if path := os.environ.get(EVENTS_FILE):
        line = f"{kind}\t{os.environ.get('PYTEST_CURRENT_TEST', '').partition('::')[0]}\t{amount}\n"
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(descriptor, line.encode())
        os.close(descriptor)


def kind_of(argv: list[str]) -> str | None:
    """Classify a command that a process starts; None if it counts for nothing."""
    if "-m" in argv[:-1]:
        program, arguments = argv[argv.index("-m") + 1], argv[argv.index("-m") + 2 :]
    else:
        program, arguments = argv[0].rpartition("/")[2], argv[1:]
    if program == "tasks":
        return "step_processes"
    if program.endswith("run_dags"):
        return "dag_tests"
    is_server = not SERVERS.get(program, set()).isdisjoint(arguments) or program.endswith(
        ("in_browser.shop", "local.airflow_process", "local.mlflow_process")
    )
    return "servers" if is_server else None


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if event in ("subprocess.Popen", "os.posix_spawn") and isinstance(arguments[1], (list, tuple)):
        argv = [os.fsdecode(part) for part in arguments[1] if isinstance(part, (str, bytes, os.PathLike))]
        if argv and (kind := kind_of(argv)):
            record(kind)


def _count_trainings(module: Any) -> None:
    """Count fits of more than one step."""
    fit = module.Trainer.fit

    def counted(self: Any, *arguments: Any, **options: Any) -> None:
        try:
            fit(self, *arguments, **options)
        finally:
            if self.global_step > 1:
                record("trainings")

    module.Trainer.fit = counted


def _count_pages(module: Any) -> None:
    for owner in (module.Browser, module.BrowserContext):
        owner.new_page = _recording(owner.new_page, "browser_pages")


def _recording(call: Callable[..., Any], kind: str) -> Callable[..., Any]:
    def recorded(*arguments: Any, **options: Any) -> Any:
        record(kind)
        return call(*arguments, **options)

    return recorded


WRAPPED = {"pytorch_lightning.trainer.trainer": _count_trainings, "playwright.sync_api._generated": _count_pages}
"""The function that wraps a module once it is imported."""


class _Wrapping(MetaPathFinder):
    """Find the modules of WRAPPED as Python does, and wrap them after their execution."""

    def find_spec(self, name: str, path: Any = None, target: object = None) -> ModuleSpec | None:
        """Return None for all other modules."""
        spec = PathFinder.find_spec(name, path) if name in WRAPPED else None
        if spec and spec.loader:
            execute = spec.loader.exec_module

            def exec_module(module: Any) -> None:
                execute(module)
                WRAPPED[name](module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def install() -> None:
    """Watch this process."""
    sys.addaudithook(_watch)
    sys.meta_path.insert(0, _Wrapping())
    for name in WRAPPED.keys() & sys.modules.keys():
        WRAPPED[name](sys.modules[name])


if EVENTS_FILE in os.environ:
    install()

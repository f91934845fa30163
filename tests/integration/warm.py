"""Runs commands as processes of their own, forked from one that has imported what they need: an import of torch costs seconds each.

`WarmServer` starts such a process; its `python` is a program that takes the place of an interpreter, as in `RETAKE_PYTHON`, for
`python -m tasks …`. Arguments, environment, folder, output and exit code are those of a process that was started in the usual way.
"""

import contextlib
import gc
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
START_SECONDS = 120
POLL_SECONDS = 0.05
SIZE_BYTES = 8
KILLED_CODE = 137

Request = tuple[list[str], dict[str, str], str, list[int]]
"""Arguments, environment, folder, and where stdout and stderr go."""

CLIENT = """#!{python} -IS
import os, socket, sys, json
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    request = json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]).encode()
    socket.send_fds(server, [len(request).to_bytes({size}, "big")], [1, 2])
    server.sendall(request)
    os._exit(int(server.recv(16) or {killed}))
"""


@contextmanager
def warm_python(folder: Path, modules: list[str], environment: dict[str, str]) -> Iterator[Path]:
    """A program that stands for the interpreter, while the block lasts; it knows `modules` already."""
    address, client = folder / "warm.socket", folder / "warm-python"
    client.write_text(CLIENT.format(python=sys.executable, address=str(address), size=SIZE_BYTES, killed=KILLED_CODE))
    client.chmod(0o755)
    command = [sys.executable, "-m", "tests.integration.warm", str(address), *modules]
    with subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdin=subprocess.PIPE) as server:
        deadline = time.monotonic() + START_SECONDS
        while not address.exists():
            assert server.poll() is None
            assert time.monotonic() < deadline
            time.sleep(POLL_SECONDS)
        try:
            yield client
        finally:
            server.kill()


def _serve(address: str) -> Request:
    """Fork for each request. Returns in a forked process alone, with what it is to run."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(f"{address}.new")
    listening.listen(64)
    Path(f"{address}.new").rename(address)
    selector = selectors.DefaultSelector()
    selector.register(listening, selectors.EVENT_READ)
    selector.register(sys.stdin, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is sys.stdin:
                os._exit(0)
            elif key.fileobj is listening:
                asking, _ = listening.accept()
                argv, environment, folder, outputs = _request(asking)
                pid = os.fork()
                if pid == 0:
                    selector.close()
                    return argv, environment, folder, outputs
                for output in outputs:
                    os.close(output)
                process = os.pidfd_open(pid)
                selector.register(process, selectors.EVENT_READ, (pid, process, asking))
                selector.register(asking, selectors.EVENT_READ, (pid, process, asking))
            else:
                pid, process, asking = key.data
                if key.fileobj is asking:
                    # Whoever asked is gone.
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(pid, signal.SIGKILL)
                    selector.unregister(asking)
                    continue
                _, status = os.waitpid(pid, 0)
                with contextlib.suppress(OSError):
                    asking.sendall(str(os.waitstatus_to_exitcode(status) % 256).encode())
                with contextlib.suppress(KeyError):
                    selector.unregister(asking)
                selector.unregister(process)
                asking.close()
                os.close(process)


def _request(asking: socket.socket) -> Request:
    head, outputs, _, _ = socket.recv_fds(asking, SIZE_BYTES, 2)
    size = int.from_bytes(head, "big")
    data = b""
    while len(data) < size:
        data += asking.recv(size - len(data))
    argv, environment, folder = json.loads(data)
    return argv, environment, folder, outputs


def _run(argv: list[str], environment: dict[str, str], folder: str, outputs: list[int]) -> None:
    """What `python -m MODULE …` does."""
    os.setpgid(0, 0)
    for standard, output in enumerate(outputs, 1):
        os.dup2(output, standard)
        os.close(output)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    _, module, *rest = argv
    sys.argv = [module, *rest]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    gc.disable()
    for module in sys.argv[2:]:
        import_module(module)
    gc.freeze()
    gc.enable()
    _run(*_serve(sys.argv[1]))

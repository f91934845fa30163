"""Hands a step over to the process that has everything imported, or becomes the interpreter.

Run as a file: hand_over.py PYTHON FOLDER ARGUMENT… It stands for the interpreter of every step, so it runs without site-packages and imports little.
"""

import json
import os
import signal
import socket
import sys

SOCKET = "warm.sock"
SIZE_BYTES = 8
PATIENCE_SECONDS = 5
ACCEPTED, END = b"+", b"T"
GONE_STATUS = 75
"""A retry helps: the exit code of `tasks.errors.Unavailable`, whose import would take longer than all of this."""


def main() -> None:
    """Run a step there, or else here."""
    python, folder, *arguments = sys.argv[1:]
    server = _accepting(folder, arguments)
    if server is None:
        os.execv(python, [python, *arguments])  # noqa: S606 - no shell is what is wanted
    server.settimeout(None)
    signal.signal(signal.SIGTERM, lambda *_: server.send(END))
    try:
        ended = server.recv(16)
    except OSError:
        ended = b""
    if not ended:
        sys.stderr.write("Unavailable: the process that had forked this step is gone; a retry starts it anew\n")
        os._exit(GONE_STATUS)
    code = int(ended)
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def _accepting(folder: str, arguments: list[str]) -> socket.socket | None:
    """Ask the server to run a step with this environment, folder and outputs; None where there is none."""
    try:
        server = socket.socket(socket.AF_UNIX)
        server.settimeout(PATIENCE_SECONDS)
        # Through the descriptor of its folder, for an address of a socket is 108 bytes at most.
        server.connect(f"/proc/self/fd/{os.open(folder, os.O_RDONLY)}/{SOCKET}")
        request = json.dumps([arguments, dict(os.environ), os.getcwd()]).encode()  # noqa: PTH109 - pathlib takes as long to import as the rest
        socket.send_fds(server, [len(request).to_bytes(SIZE_BYTES, "big")], [1, 2])
        server.sendall(request)
        return server if server.recv(1) == ACCEPTED else None
    except OSError:
        return None


if __name__ == "__main__":
    main()

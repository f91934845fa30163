"""Hand a step to the warm process, or become the interpreter.

Run as a file: hand_over.py PYTHON FOLDER ARGUMENT… It takes the place of the interpreter of every step, so it runs without site-packages and
imports little.
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
"""Retry: the exit code of `tasks.errors.Unavailable`, whose import would take longer than this program."""


def main() -> None:
    """Run the step in the warm process if it accepts, else in this one."""
    python, folder, *arguments = sys.argv[1:]
    # A SIGTERM waits until this process can pass it on.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    server = _accepting(folder, arguments)
    if server is None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        os.execv(python, [python, *arguments])  # noqa: S606 - no shell is needed
    server.settimeout(None)
    signal.signal(signal.SIGTERM, lambda *_: server.send(END))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    try:
        ended = server.recv(16)
    except OSError:
        ended = b""
    if not ended:
        sys.stderr.write("Unavailable: the process that had forked this step is gone; a retry restarts it\n")
        os._exit(GONE_STATUS)
    code = int(ended)
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def _accepting(folder: str, arguments: list[str]) -> socket.socket | None:
    """Ask the warm process to run a step; None if it does not accept."""
    try:
        server = socket.socket(socket.AF_UNIX)
        server.settimeout(PATIENCE_SECONDS)
        # By the descriptor of its folder: a socket address has at most 108 bytes.
        server.connect(f"/proc/self/fd/{os.open(folder, os.O_RDONLY)}/{SOCKET}")
        request = json.dumps([arguments, dict(os.environ), os.getcwd()]).encode()  # noqa: PTH109 - importing pathlib takes as long as everything else
        socket.send_fds(server, [len(request).to_bytes(SIZE_BYTES, "big")], [1, 2])
        server.sendall(request)
        return server if server.recv(1) == ACCEPTED else None
    except OSError:
        return None


if __name__ == "__main__":
    main()

"""Serve a folder or an application to other threads and to browsers."""

import threading
import time
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer

START_SECONDS = 60


class Answering(BaseHTTPRequestHandler):
    """Answers with a whole content, and logs nothing; a header of None is left out."""

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self, status, content=b"", **headers):
        self.send_response(status)
        for name, value in ({"content-length": str(len(content))} | headers).items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass


class Files(Answering, SimpleHTTPRequestHandler):
    """Answers with the files of a folder."""


@contextmanager
def in_thread(server):
    """Let a server of the standard library answer, and yield its address."""
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def served(folder):
    """Yield the address of a folder."""
    return in_thread(ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=folder)))


@contextmanager
def running(server):
    """Let a server of uvicorn answer, and yield its address."""
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + START_SECONDS
    try:
        while not server.started:
            assert thread.is_alive() and time.monotonic() < deadline
            thread.join(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()

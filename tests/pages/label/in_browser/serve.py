"""Serve the labelling page of a store in a process of its own: `python -m tests.pages.label.in_browser.serve URI`."""

import socket
import sys

from tasks.settings import StoreSettings, load
from tasks.store.objects import Store
from tests.pages.label.in_browser.shop import server_of

if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sys.stdout.write(f"{listening.getsockname()[1]}\n")
        sys.stdout.flush()
        server_of(Store.from_settings(load(StoreSettings)), sys.argv[1], 0).run(sockets=[listening])

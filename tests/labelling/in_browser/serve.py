"""Serve the labelling page of a store in a process of its own: `python -m tests.labelling.in_browser.serve URI SHARE`."""

import socket
import sys

import uvicorn

from tasks.labelling.app import make_app
from tasks.labelling.desk import Desk
from tasks.settings import StoreSettings, load
from tasks.store.objects import Store
from tests.labelling.in_browser.shop import around, person

if __name__ == "__main__":
    uri, share = sys.argv[1:]
    app = around(make_app([Desk(Store.from_settings(load(StoreSettings)), uri)], person, float(share)), uri)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sys.stdout.write(f"{listening.getsockname()[1]}\n")
        sys.stdout.flush()
        uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off")).run(sockets=[listening])

"""A Docker Engine, and an image whose `python -m tasks` does what a test scripts."""

import io
import tarfile
import time
from dataclasses import dataclass
from typing import Any

import docker
from airflow.sdk import DAG

from dags._docker import DockerStepOperator, container_name
from dags._form import Form
from tasks.options import IngestOptions
from tasks.store.objects import Store
from tests.dags.conftest import defaults

BASE = "python:3.11-slim-trixie"
IMAGE = "retake-test-runner:1"
FORM = Form(options=(IngestOptions,))
PARAMS = defaults(FORM)
RESULT = {"num_videos": 1}
SAY = "print({!r}, file=sys.stderr, flush=True)".format
"""A step's words."""

BLOCKED = f"signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1]); {SAY('waiting')}; signal.sigwait([signal.SIGUSR1])"
"""A step that says `waiting` and goes on at SIGUSR1."""

DOCKERFILE = f"""
FROM {BASE}
RUN install -d -o 10001 -g 10001 /scratch /var/cache/retake
WORKDIR /opt/retake
ENV PYTHONUNBUFFERED=1
COPY tasks/__main__.py tasks/__main__.py
"""
MAIN = """
import json, os, signal, sys
play = next(flag for flag in sys.argv[1:] if flag.startswith("--sources="))
exec(play.removeprefix("--sources="))
"""


def connect():
    return docker.DockerClient(base_url="unix:///var/run/docker.sock", timeout=30)


def build(client):
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        for name, text in {"Dockerfile": DOCKERFILE, "tasks/__main__.py": MAIN}.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    context.seek(0)
    client.images.build(fileobj=context, custom_context=True, tag=IMAGE, rm=True, forcerm=True)


@dataclass
class Bench:
    """The run that the tries of a test share; its containers are gone at the end."""

    client: Any
    store: Store
    run_id: str

    @property
    def name(self):
        return container_name("bridge", "some_dag", self.run_id, "a_task", -1)

    @property
    def containers(self):
        return self.client.containers.list(all=True, filters={"label": f"retake.run={self.run_id}"})

    def num_made(self):
        now = time.time()
        wanted = {"event": "create", "type": "container", "label": f"retake.run={self.run_id}"}
        return len(list(self.client.events(since=int(now) - 120, until=now, filters=wanted, decode=True)))

    def operator(self, play, **arguments):
        return DockerStepOperator(**step(play, self.run_id), **arguments)


def step(play, run_id):
    return {
        "dag": DAG("some_dag"),
        "task_id": "a_task",
        "step": "ingest",
        "form": FORM,
        "inputs": {"out": f"s3://retake/{run_id}/", "sources": play},
    }

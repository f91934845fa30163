"""One stack for all tests of this folder, built and started once."""

from collections.abc import Iterator

import pytest

from tests.containers.job import Disturbed, Job, disturb, small_samples
from tests.containers.stack import Stack, own_stack


@pytest.fixture(scope="session")
def cold_stack(tmp_path_factory) -> Iterator[Stack]:
    """A stack that is not up yet."""
    with own_stack(tmp_path_factory.mktemp("stack") / "retake") as stack:
        yield stack


@pytest.fixture(scope="session")
def first_up(cold_stack) -> str:
    """What `make up` prints from nothing to healthy."""
    done = cold_stack.make("up")
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="session")
def stack(cold_stack, first_up) -> Stack:
    """The stack, up and well."""
    return cold_stack


@pytest.fixture(scope="session")
def chain(stack) -> Job:
    """The whole chain on small sample videos, started through Airflow's REST API with a password, and its network as champion."""
    small_samples(stack.folder / "videos" / "small")
    job = Job(stack)
    job.ingest("/videos/small", seed=0)
    job.name_champion()
    return job


@pytest.fixture(scope="session")
def disturbed(chain) -> Disturbed:
    """A run in which what it needs was killed, one after another."""
    return disturb(chain)

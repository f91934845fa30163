"""A backbone of the user's own, out of another bucket of the store and from a web server."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from tasks.model.checkpoints import load
from tasks.model.network import Network
from tasks.model.spec import NetworkSpec
from tasks.options import Weights
from tasks.results.training import WeightsResult
from tasks.steps._checkpoints import file_sha256

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

STORE = "s3://retake-own-backbone"
ELSEWHERE = "s3://retake-elsewhere/weights/own.pth"


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """The weights of a backbone, which no start of Retake has."""
    path = tmp_path_factory.mktemp("own") / "own.pth"
    torch.save(Network(NetworkSpec(backbone="test_resnet"), seed=7).backbone.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def sources(workshop, own):
    """The address of the file in another bucket, and that of a web server."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    workshop.store.ensure_bucket(STORE)
    workshop.store.ensure_bucket(ELSEWHERE)
    workshop.store.write_file(ELSEWHERE, own)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=own.parent)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield {"store": ELSEWHERE, "web": f"http://127.0.0.1:{server.server_port}/own.pth"}
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("place", ["store", "web"])
def test_a_training_starts_from_the_file_and_finds_it_by_its_hash(workshop, attempt, own, sources, tmp_path, place):
    def start(name, source):
        out = f"{STORE}/pretrained/choices/{place}-{name}/"
        allowed = {"RETAKE_ALLOW_PRIVATE_ADDRESSES": "true"}
        code, said = attempt("weights", allowed, store=STORE, out=out, backbone="test_resnet", num_segments=2, backbone_weights=source)
        assert code == 0, said
        return workshop.store.read(f"{out}result.json", WeightsResult)

    found, sha256 = start("first", sources[place]), file_sha256(own)
    assert (found.weights, found.backbone_sha256) == (Weights.FILE, sha256)
    assert workshop.store.read_bytes(f"{STORE}/pretrained/backbones/{sha256}") == own.read_bytes()
    workshop.store.read_file(found.uri, tmp_path / "start.pt")
    loaded, theirs = load(tmp_path / "start.pt").network.backbone.state_dict(), torch.load(own, weights_only=True)
    assert loaded.keys() == theirs.keys()
    assert all(torch.equal(loaded[name], theirs[name]) for name in theirs)

    assert start("again", sha256).sha256 == found.sha256


@pytest.mark.parametrize("place", ["store", "web"])
def test_an_address_without_a_file_is_bad_input_that_names_it(workshop, attempt, sources, place):
    lacking = sources[place].replace("own.pth", "none.pth")
    code, said = attempt(
        "weights",
        {"RETAKE_ALLOW_PRIVATE_ADDRESSES": "true"},
        store=STORE,
        out=f"{STORE}/pretrained/choices/none/",
        backbone="test_resnet",
        backbone_weights=lacking,
    )
    assert code == 65
    assert lacking in said

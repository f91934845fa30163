import socket
from contextlib import ExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import BadConfiguration
from tasks.local.processes import choose_ports, is_free


def listen(port: int) -> socket.socket:
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", port))
    server.listen()
    return server


def test_a_taken_port_is_replaced_by_the_next_free_one():
    with listen(0) as server:
        port = server.getsockname()[1]
        assert not is_free(port)
        assert choose_ports({"web": port})["web"] > port


def test_a_port_that_listens_on_every_interface_counts_as_taken():
    with socket.socket() as server:
        server.bind(("0.0.0.0", 0))  # noqa: S104 - what another program might do
        server.listen()
        assert not is_free(server.getsockname()[1])


def test_a_closed_connection_does_not_take_its_port():
    with listen(0) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, _ = server.accept()
            accepted.close()  # the server's side closes first, so its port lingers
            client.recv(1)
    assert is_free(port)


@settings(max_examples=15)
@given(st.dictionaries(st.text(min_size=1, max_size=3), st.integers(20000, 20010), max_size=6), st.sets(st.integers(20000, 20010)))
def test_ports_differ_from_one_another_and_from_those_to_avoid(wanted, avoid):
    chosen = choose_ports(wanted, avoid)
    assert chosen.keys() == wanted.keys()
    assert len(set(chosen.values()) | avoid) == len(chosen) + len(avoid)


def test_no_free_port_says_what_to_do(monkeypatch):
    monkeypatch.setattr("tasks.local.processes._SEARCHED", 3)
    with ExitStack() as stack:
        first = next(p for p in range(21000, 22000) if all(map(is_free, range(p, p + 3))))
        for port in range(first, first + 3):
            stack.enter_context(listen(port))
        with pytest.raises(BadConfiguration, match="RETAKE_PORT_OFFSET"):
            choose_ports({"web": first})

"""Requests that the proxy lets through to the Docker Engine, asked from inside the scheduler, as an intruder would."""

import copy
import json
from collections.abc import Iterable

import pytest

from tests.containers.stack import STACK_SECONDS

pytestmark = [pytest.mark.containers, pytest.mark.timeout(STACK_SECONDS)]

NAME = "retake-step-0123456789abcdef"
CREATE = f"/v1.45/containers/create?name={NAME}"
ASK = """
import http.client, json, sys
answers = []
for method, path, body, headers in json.load(sys.stdin):
    connection = http.client.HTTPConnection("docker-proxy", 2375, timeout=20)
    data = body.encode("latin-1") if body is not None else None
    chunked = "Transfer-Encoding" in headers
    sent = {"Content-Type": "application/json", **headers}
    connection.request(method, path, iter([data]) if chunked else data, sent, encode_chunked=chunked)
    reply = connection.getresponse()
    answers.append([reply.status, reply.read().decode(errors="replace")[:300]])
print(json.dumps(answers))
"""
HTTP_2 = """
import json, socket
with socket.create_connection(("docker-proxy", 2375), 20) as connection:
    connection.sendall(b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n")
    print(json.dumps(connection.recv(12).decode(errors="replace")))
"""
VOLUME = {"Type": "volume", "Target": "/scratch"}
BODY = {
    "Image": "retake/worker:test",
    "Cmd": ["true"],
    "User": "10001:10001",
    "HostConfig": {
        "NetworkMode": "retake-test_steps",
        "ReadonlyRootfs": True,
        "Memory": 1 << 28,
        "MemorySwap": 1 << 28,
        "PidsLimit": 64,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        "Mounts": [VOLUME],
    },
}


def ask(stack, *requests: tuple[str, str, str | None], **headers: str) -> list[tuple[int, str]]:
    answers = stack.run_in("airflow-scheduler", ASK, [[method, path, body, headers] for method, path, body in requests])
    return [(status, text) for status, text in answers]


def let_through(requests: Iterable[object], answers: list[tuple[int, str]]) -> dict[object, tuple[int, str]]:
    """The requests that the proxy did not refuse, with their answers."""
    return {request: answer for request, answer in zip(requests, answers, strict=True) if answer[0] != 403}


@pytest.fixture(scope="module")
def scheduler(stack):
    """The stack, and afterwards no container of these tests."""
    yield stack
    for container in stack.engine.containers.list(all=True, filters={"name": "retake-step-0123456789abcdef"}):
        container.remove(force=True, v=True)


def test_a_steps_container_is_made_and_removed(scheduler):
    answers = ask(
        scheduler,
        ("POST", CREATE, json.dumps(BODY)),
        ("GET", f"/v1.45/containers/{NAME}/json", None),
        ("DELETE", f"/containers/{NAME}?v=1", None),
    )
    assert [status for status, _ in answers] == [201, 200, 204], answers


ANOTHER = "/containers/retake-test-postgres-1"
NEEDLESS = {
    "GET": (
        *("/containers/json?all=1", f"{ANOTHER}/json", "/containers/0123456789ab/json", f"/containers/{NAME}/archive?path=/"),
        *(f"/containers/{NAME}/../retake-test-postgres-1/json", f"/containers/{NAME}%2f..%2fretake-test-postgres-1/json"),
        *("/images/retake/worker:test/json", f"/images/a/../..{ANOTHER}/json"),
        *("//v1.45/../containers/json", "/%2e%2e/containers/json", "/CONTAINERS/json", "/v1.45/_ping/../containers/json"),
        *("/_ping%2f..%2fcontainers/json", f"/containers/{NAME}/JSON", f"/containers/{NAME}%00/json", f"/containers/{NAME}/export"),
        *("/volumes", "/secrets", "/services", "/events", "/swarm", "/nodes", "/networks", "/images/json", "/system/df"),
    ),
    "POST": (
        *(f"/containers/{NAME}/{change}" for change in ("exec", "update", "rename?name=x", "kill", "start?checkpoint=x")),
        *(f"/containers/{NAME}/{change}" for change in ("attach", "pause", "wait/../exec", "start?detachKeys=x")),
        *("/exec/abc/start", f"{ANOTHER}/exec", f"{ANOTHER}/stop", f"/v1.24/containers/{NAME}/start", "/containers/prune"),
        *(f"/commit?container={NAME}", "/images/x/tag?repo=retake/worker&tag=test", "/secrets/create", "/services/create", "/swarm/join"),
        *("/volumes/create", "/volumes/prune", "/networks/create", "/networks/retake-test_engine/connect"),
        *("/build", "/images/create?fromImage=evil", "/images/load", "/plugins/pull", "/session", "/swarm/init"),
        *("/containers/create", "/containers/create?name=evil", f"/containers/create?n%61me=evil&name={NAME}"),
        *(f"/containers/create?name={NAME}&name=evil", f"//containers/create?name={NAME}", f"/v1.24/containers/create?name={NAME}"),
        *(f"{path}?name={NAME}" for path in ("/v1.42/containers/create", "/v1.430/containers/create", "/V1.45/containers/create")),
        *(f"{path}?name={NAME}" for path in ("//v1.45/../containers/create", "/containers/cre%61te", "/v1.45/v1.45/containers/create")),
        *(f"/containers/create?name={NAME}{more}" for more in ("&platform=linux", "%0a", ";name=evil")),
    ),
    "PUT": (f"/containers/{NAME}/archive?path=/",),
    "DELETE": (ANOTHER, "/images/retake/worker:test"),
}


def test_what_airflow_does_not_need_is_refused(scheduler):
    asked = [(method, path) for method, paths in NEEDLESS.items() for path in paths]
    requests = [(method, path, json.dumps(BODY) if "/create" in path else None) for method, path in asked]
    assert let_through(requests, ask(scheduler, *requests)) == {}


@pytest.mark.parametrize("headers", [{}, {"Transfer-Encoding": "chunked"}], ids=["whole", "chunked"])
def test_only_a_create_request_has_a_body(scheduler, headers):
    """An engine before 25 starts a container with the options in the body."""
    body = json.dumps({"Privileged": True, "Binds": ["/:/host"]})
    requests = [
        ("POST", path, body) for path in (f"/v1.23/containers/{NAME}/start", f"/containers/{NAME}/start", f"/containers/{NAME}/wait")
    ]
    assert let_through(requests, ask(scheduler, *requests, **headers)) == {}


def test_no_version_of_http_is_spoken_whose_bodies_have_no_length(scheduler):
    assert scheduler.run_in("airflow-scheduler", HTTP_2, []) == "HTTP/1.1 400"


def test_a_create_request_in_chunks_is_refused(scheduler):
    ((status, text),) = ask(scheduler, ("POST", CREATE, json.dumps(BODY)), **{"Transfer-Encoding": "chunked"})
    assert (status, "Content-Length" in text) == (403, True)


def _with(change: str, value: object) -> str:
    body = copy.deepcopy(BODY)
    *path, last = change.split(".")
    place = body
    for key in path:
        place = place.setdefault(key, {})
    place[last] = value
    return json.dumps(body)


def _text(old: str, new: str) -> str:
    whole = json.dumps(BODY)
    assert old in whole
    return whole.replace(old, new, 1)


HOST = '"HostConfig": {'
HOST_FOLDER = {"Name": "local", "Options": {"o": "bind", "device": "/"}}
BIND = {"Type": "bind", "Source": "/", "Target": "/host"}
REFUSED = {
    "privileged": _with("HostConfig.Privileged", True),
    "privileged in another case": _text(HOST, HOST + '"privileged": true, '),
    "privileged, after a newline": _text(HOST, HOST + '"Privileged"\n:\n true, '),
    "privileged, a letter escaped": _text(HOST, HOST + '"Pr\\u0069vileged": true, '),
    "privileged in a second HostConfig": _text('"Cmd"', '"hostconfig": {"Privileged": true}, "Cmd"'),
    "a second HostConfig of the same spelling": json.dumps(BODY)[:-1] + ', "HostConfig": {"PidMode": "host"}}',
    "a HostConfig with a long s": json.dumps(BODY)[:-1] + ', "Ho\\u017ftConfig": {"PidMode": ""}}',
    "a HostConfig with a long s as it is": json.dumps(BODY)[:-1] + ', "Ho\u00c5\u00bftConfig": {"PidMode": ""}}',
    "binds": _with("HostConfig.Binds", ["/:/host"]),
    "binds in another case": _text(HOST, HOST + '"binds": ["/:/host"], '),
    "a bind mount": _with("HostConfig.Mounts", [BIND]),
    "the engine's socket": _with("HostConfig.Binds", ["/var/run/docker.sock:/socket"]),
    "the engine's socket as a mount": _with("HostConfig.Mounts", [{**BIND, "Source": "/var/run/docker.sock"}]),
    "a mount of another image": _with("HostConfig.Mounts", [{"Type": "image", "Source": "postgres:17", "Target": "/x"}]),
    "a folder beside a volume": _with("HostConfig.Mounts", [{**VOLUME, "VolumeOptions": {"Subpath": "../.."}}]),
    "a bind mount after a volume": _with("HostConfig.Mounts", [VOLUME, BIND]),
    "a bind mount over several lines": _text('"Mounts": [', '"Mounts": [\n{"Type":\n"bind", "Source":\n"/", "Target": "/host"},\n'),
    "a volume with a host folder behind it": _with("HostConfig.Mounts", [{**VOLUME, "VolumeOptions": {"DriverConfig": HOST_FOLDER}}]),
    "the volume of the database": _with("HostConfig.Mounts", [{"Type": "volume", "Source": "retake-test_postgres", "Target": "/db"}]),
    "the volumes of another container": _with("HostConfig.VolumesFrom", ["retake-test-postgres-1"]),
    "the host's processes": _with("HostConfig.PidMode", "host"),
    "another container's processes": _with("HostConfig.PidMode", "container:retake-test-postgres-1"),
    "the host's network": _with("HostConfig.NetworkMode", "host"),
    "another container's network": _with("HostConfig.NetworkMode", "container:retake-test-postgres-1"),
    "the engine's network": _with("HostConfig.NetworkMode", "retake-test_engine"),
    "the name of another service": _with("Hostname", "minio"),
    "the address of another container": _with("MacAddress", "02:42:ac:11:00:02"),
    "the control group of another container": _with("HostConfig.Cgroup", "container:retake-test-postgres-1"),
    "a second network": _with("NetworkingConfig", {"EndpointsConfig": {"retake-test_engine": {}}}),
    "the host's memory segments": _with("HostConfig.IpcMode", "host"),
    "the host's name": _with("HostConfig.UTSMode", "host"),
    "the host's users": _with("HostConfig.UsernsMode", "host"),
    "the host's control groups": _with("HostConfig.CgroupnsMode", "host"),
    "a capability": _with("HostConfig.CapAdd", ["SYS_ADMIN"]),
    "some capabilities kept": _with("HostConfig.CapDrop", ["CHOWN"]),
    "a device": _with("HostConfig.Devices", [{"PathOnHost": "/dev/sda", "PathInContainer": "/dev/sda", "CgroupPermissions": "rwm"}]),
    "all of /proc": _with("HostConfig.MaskedPaths", []),
    "no confinement": _with("HostConfig.SecurityOpt", ["no-new-privileges", "seccomp=unconfined"]),
    "another runtime": _with("HostConfig.Runtime", "other"),
    "a group of the host": _with("HostConfig.GroupAdd", ["0"]),
    "a published port": _with("HostConfig.PortBindings", {"80/tcp": [{"HostPort": "80"}]}),
    "every port published": _with("HostConfig.PublishAllPorts", True),
    "a device of a driver": _with("HostConfig.DeviceRequests", [{"Driver": "cdi", "DeviceIDs": ["vendor.com/device=all"]}]),
    "annotations for the runtime": _with("HostConfig.Annotations", {"cdi.k8s.io/x": "y"}),
    "a container that comes back": _with("HostConfig.RestartPolicy", {"Name": "always"}),
    "a container that is never killed": _with("HostConfig.OomKillDisable", True),
    "no limit of memory": _with("HostConfig.Memory", 0),
    "a limit of memory that is taken back": _text('"CapDrop"', '"memory": 0, "CapDrop"'),
    "no limit of swap": _with("HostConfig.MemorySwap", -1),
    "the engine's own limit of swap, twice the memory": _with("HostConfig.MemorySwap", 0),
    "swap that is not spoken of": _text('"MemorySwap": 268435456, ', ""),
    "more swap than none": _with("HostConfig.MemorySwap", 1 << 29),
    "a limit of swap in another case": _text('"CapDrop"', '"memoryswap": -1, "CapDrop"'),
    "a second limit of swap": _text('"CapDrop"', '"MemorySwap": -1, "CapDrop"'),
    "limits of a shell": _with("HostConfig.Ulimits", [{"Name": "nofile", "Soft": 1 << 20, "Hard": 1 << 20}]),
    "limits of a shell in another case": _text('"CapDrop"', '"ulimits": [{"Name": "core", "Soft": -1, "Hard": -1}], "CapDrop"'),
    "another server of names": _with("HostConfig.Dns", ["8.8.8.8"]),
    "options of names": _with("HostConfig.DnsOptions", ["ndots:9"]),
    "names of another domain, in another case": _text(HOST, HOST + '"dnssearch": ["evil.example"], '),
    "another program in the place of ours": _with("Entrypoint", ["/bin/sh", "-c"]),
    "a command that runs again and again": _with("Healthcheck", {"Test": ["CMD", "true"], "Interval": 1_000_000_000}),
    "a limit of a disk of the host": _with("HostConfig.BlkioDeviceReadBps", [{"Path": "/dev/sda", "Rate": 1}]),
    "a limit of a disk of the host, in operations": _with("HostConfig.BlkioDeviceWriteIOps", [{"Path": "/dev/sda", "Rate": 1}]),
    "the weight of a disk of the host": _with("HostConfig.BlkioWeightDevice", [{"Path": "/dev/sda", "Weight": 1000}]),
    "no limit of processes": _with("HostConfig.PidsLimit", -1),
    "what stands behind a NUL": json.dumps(BODY)[:-1] + ', "x": "\x00", "HostConfiG": {"Privileged": true}}',
    "a NUL in a value": _with("Image", "retake/worker:test\x00evil"),
    "a writable root": _with("HostConfig.ReadonlyRootfs", False),
    "root": _with("User", "0:0"),
    "no user": _with("User", ""),
    "an image that is not ours": _with("Image", "postgres:17"),
    "another tag of ours": _with("Image", "retake/worker:other"),
    "two images": json.dumps(BODY)[:-1] + ', "image": "postgres:17"}',
    "a request too large to look into": _with("Labels", {"filler": "x" * 200_000}),
    "an image of another registry": _with("Image", "evil.example/retake/worker:test"),
    "a list of requests": f"[{json.dumps(BODY)}]",
    "what stands behind the request": json.dumps(BODY) + '{"HostConfig": {"Privileged": true}}',
    "no JSON": "Image=retake/worker:test",
}


def test_a_container_that_could_reach_beyond_itself_is_refused(scheduler):
    answers = ask(scheduler, *(("POST", CREATE, body) for body in REFUSED.values()))
    assert let_through(REFUSED, answers) == {}
    assert "the image is not one of ours" in dict(zip(REFUSED, answers, strict=True))["an image that is not ours"][1]
    assert scheduler.engine.containers.list(all=True, filters={"name": NAME}) == []

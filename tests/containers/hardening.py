"""What holds of every container of the stack."""

from typing import Any

from tests.containers.stack import Stack

ROOTS = ("", "0", "root")


def assert_hardened(name: str, found: dict[str, Any]) -> None:
    """A container, as the engine describes it, is not root, has no capability, cannot gain one, and is bounded."""
    host = found["HostConfig"]
    assert found["Config"]["User"].split(":")[0] not in ROOTS, name
    assert host["CapDrop"] == ["ALL"], name
    assert not host["CapAdd"], name
    assert not host["Privileged"], name
    assert [option.removesuffix(":true") for option in host["SecurityOpt"]] == ["no-new-privileges"], name
    assert host["ReadonlyRootfs"], name
    assert host["Memory"], name


def assert_not_root(stack: Stack) -> None:
    """No container that runs is root, whatever its description says."""
    for service, container in stack.containers.items():
        if container.status == "running":
            code, printed = container.exec_run(["id", "-u"])
            assert (code, printed.strip() == b"0") == (0, False), service

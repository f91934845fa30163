"""The images and the dev container, as far as a file tells."""

import json
import re
import subprocess
import tomllib

from tasks.local.home_folder import REPOSITORY

PINNED = re.compile(r"^[a-z0-9./-]+(:(?!latest$)[A-Za-z0-9._-]+|@sha256:[0-9a-f]{64})$")
DOCKERFILE = (REPOSITORY / "docker" / "Dockerfile").read_text()


def test_every_image_is_made_from_a_pinned_tag_or_from_a_stage():
    stages = re.findall(r"^FROM (\S+) AS (\S+)$", DOCKERFILE, re.MULTILINE)
    assert len(stages) == DOCKERFILE.count("\nFROM ")
    names = {name for _, name in stages}
    assert [image for image, _ in stages if image not in names and not PINNED.match(image)] == []


def test_packages_images_and_the_changelog_have_one_version():
    packages = {
        tomllib.loads((REPOSITORY / path).read_text())["project"]["version"] for path in ("pyproject.toml", "docker/mlflow/pyproject.toml")
    }
    tags = re.findall(r"\$\{RETAKE_IMAGE_TAG:-([^}]+)\}", (REPOSITORY / "docker-compose.yml").read_text())
    released = re.findall(r"^## (\S+) \(\d{4}-\d\d-\d\d\)$", (REPOSITORY / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert packages == set(tags) == {released[0]}


def test_the_tests_in_containers_lie_in_the_folders_that_make_collects():
    folders = re.search(r"--tier=containers -n 2 \$\(or \$\(filter tests/%,\$\(ARGS\)\),(.*?)\)", (REPOSITORY / "Makefile").read_text())[
        1
    ].split()
    tests = [path for path in (REPOSITORY / "tests").rglob("test_*.py") if re.search(r"pytest\.mark\.containers", path.read_text())]
    assert {str(path.relative_to(REPOSITORY).parent) for path in tests} == set(folders)


def test_the_dev_container_has_the_images_python_and_installs_into_the_venv_that_make_uses():
    folder = REPOSITORY / ".devcontainer"
    container = json.loads((folder / "devcontainer.json").read_text())
    text, workspace = (folder / container["build"]["dockerfile"]).read_text(), container["workspaceFolder"]
    bases = [re.search(r"^FROM (\S+)", each, re.MULTILINE).group(1) for each in (text, DOCKERFILE)]
    assert bases[0] == bases[1]
    assert f"target={workspace},type=bind" in container["workspaceMount"]
    assert [mount.split(",")[1] for mount in container["mounts"]] == [f"target={workspace}/.venv"]
    assert f"{workspace}/.venv\n" in text and f" {container['remoteUser']} " in text
    assert container["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"] == f"{workspace}/.venv/bin/python"
    make, target = container["postCreateCommand"].split()
    assert subprocess.run([make, "--dry-run", target], cwd=REPOSITORY, capture_output=True).returncode == 0

"""The images, as far as a file tells."""

import re
import tomllib

from tasks.local.home import REPOSITORY

PINNED = re.compile(r"^[a-z0-9./-]+(:(?!latest$)[A-Za-z0-9._-]+|@sha256:[0-9a-f]{64})$")


def test_every_image_is_made_from_a_pinned_tag_or_from_a_stage():
    text = (REPOSITORY / "docker" / "Dockerfile").read_text()
    stages = re.findall(r"^FROM (\S+) AS (\S+)$", text, re.MULTILINE)
    assert len(stages) == text.count("\nFROM ")
    names = {name for _, name in stages}
    assert [image for image, _ in stages if image not in names and not PINNED.match(image)] == []


def test_the_images_are_tagged_with_the_version_of_the_project():
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    tags = re.findall(r"\$\{RETAKE_IMAGE_TAG:-([^}]+)\}", (REPOSITORY / "docker-compose.yml").read_text())
    assert set(tags) == {version}

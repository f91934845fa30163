import pytest

from tests.dataset.formats.told import actions, reasons


@pytest.fixture(scope="session")
def read(label):
    """What files label the clips of `videos` with (a number: clips of `a.mp4`), and what of them is refused."""

    def run(files, videos=1, **options):
        labelling = label({"a.mp4": videos} if isinstance(videos, int) else videos, files, **options)
        return actions(labelling), reasons(labelling)

    return run

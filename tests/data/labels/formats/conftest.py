import pytest

from tests.data.labels.records import actions, reasons


@pytest.fixture(scope="session")
def read(label):
    """The labels that files give the clips of `videos` (a number: clips of `a.mp4`), and why lines are refused."""

    def run(files, videos=1, **options):
        labelling = label({"a.mp4": videos} if isinstance(videos, int) else videos, files, **options)
        return actions(labelling), reasons(labelling)

    return run

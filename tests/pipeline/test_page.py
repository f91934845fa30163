"""docs/commands.md, which is made from the contracts."""

from tests.pipeline.page import PAGE, page


def test_the_page_of_the_commands_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make commands`"

"""docs/commands.md, which is made from the contracts."""

from tests.pipeline.page import PAGE, num_options, page


def test_the_page_of_the_commands_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make commands`"


def test_a_new_option_raises_the_number_in_the_budget():
    number, most = num_options()
    assert number <= most, "raise `names` in tests/budget.toml, and say by a measured result what the option is good for"

import io

from rich.console import Console

from tasks.local.progress import LiveScreen, PlainScreen, Row, clock, folded, screen_for


def row(state, seconds=None, label="", step="train", index=-1):
    return Row("retrain", step, index, label, state, seconds)


def lines(stream):
    return [line.split("  ", 1)[1] for line in stream.getvalue().splitlines()]


def test_plain_lines_tell_each_change_once_and_mapped_steps_apart():
    stream = io.StringIO()
    screen = screen_for(stream)
    assert isinstance(screen, PlainScreen)
    screen.show([row("waiting")], "")
    screen.show([row("running", 0.1)], "epoch 1/8")
    screen.show([row("running", 1.1)], "epoch 1/8")
    screen.show([row("success", 2.04)], "")
    screen.show([row("running", 0, "fine-tuned", index=0), row("success", 3, "baseline", index=1)], "")
    of_one = ["retrain  train: running", "    epoch 1/8", "retrain  train: success (2.0 s)"]
    assert lines(stream) == [*of_one, "retrain  train [fine-tuned]: running", "retrain  train [baseline]: success (3.0 s)"]


def test_a_terminal_shows_the_steps_as_they_stand():
    stream = io.StringIO()
    screen = screen_for(stream)
    screen = LiveScreen(Console(file=stream, force_terminal=True, width=100))
    screen.show([row("running", 1.5)], "epoch [1/8]")
    screen.say("a line [that] stays")
    screen.close()
    screen.close()
    for text in ("train", "running", "1.5", "epoch [1/8]", "a line [that] stays"):
        assert text in stream.getvalue()


def test_nothing_that_people_named_reaches_the_terminal_as_a_command():
    stream = io.StringIO()
    plain = PlainScreen(stream)
    plain.say("a\x1b[2Jb:\nc\x9b")
    plain.show([row("running", 0, "d\x1be", index=0)], "f\x1bg")
    assert [line for line in stream.getvalue().splitlines() if not line.isprintable()] == []
    assert "a\N{REPLACEMENT CHARACTER}[2Jb:\nc" in stream.getvalue()
    drawn = io.StringIO()
    live = LiveScreen(Console(file=drawn, force_terminal=True, width=100))
    live.say("a\x1b[2Jb")
    live.show([row("running", 0, "d\x1b]0;e", index=0)], "f\x1b]0;g")
    live.close()
    assert all(text not in drawn.getvalue() for text in ("\x1b[2J", "\x1b]0;"))


def test_an_address_is_not_broken_at_the_width_of_the_terminal():
    drawn = io.StringIO()
    address = f"http://127.0.0.1:8080/dags/retrain/runs/{'x' * 60}"
    LiveScreen(Console(file=drawn, force_terminal=True, width=40)).say(f"report {address}")
    assert address in drawn.getvalue()


def test_many_mapped_steps_are_one_row_that_counts_and_few_are_shown_one_by_one():
    few = [row("success", 2.0, str(n)) for n in range(6)]
    assert folded(few) == few
    rows = [row("success", 2.0, str(n), "segment") for n in range(10)] + [
        row("running", 1.0, "10", "segment"),
        row("waiting", step="label"),
    ]
    assert folded(rows) == [
        Row("retrain", "segment", -1, "11 times", "running (10 success, 1 running)", 21.0),
        row("waiting", step="label"),
    ]


def test_the_clock_counts_minutes_and_seconds():
    assert [clock(5.9), clock(65), clock(3600)] == ["0:05", "1:05", "60:00"]

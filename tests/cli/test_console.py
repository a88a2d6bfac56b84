import io

import pytest

from cosmos.bridge.cli import console
from cosmos.bridge.cli.console import PlainDisplay, RichDisplay, bytes_text, describe, make_display, seconds_text
from cosmos.bridge.jobs import JobProgress, JobState


class Terminal(io.StringIO):
    def isatty(self):
        return True


def at(**changes):
    return JobProgress(state=JobState.RUNNING, **changes)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (4.26, "4.3 s"), (42.4, "42 s"), (125, "2 min 05 s"), (4320, "1 h 12 min")]
)
def test_times_read_as_people_say_them(seconds, text):
    assert seconds_text(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(12, "12 B"), (12_300, "12.3 kB"), (4.2e9, "4.2 GB"), (3e15, "3000.0 TB")])
def test_sizes_have_a_unit(count, text):
    assert bytes_text(count) == text


def test_a_line_says_clip_part_steps_and_time_left():
    line = describe(at(stage="render", done=3, total=24, clips_done=1, clips_total=4, seconds=65.0, eta=130.0))
    assert line == "[1 min 05 s] clip 2/4: render 3/24, about 2 min 10 s left"


def test_a_line_says_when_its_part_is_done_before_any_clip_is():
    line = describe(at(stage="transfer (chunk 2 of 5)", done=47, total=175, clips_total=1, seconds=65.0, stage_eta=176))
    assert line == "[1 min 05 s] clip 1/1: transfer (chunk 2 of 5) 47/175, done in about 2 min 56 s"


def test_a_line_counts_where_the_end_is_not_known():
    line = describe(at(stage="prims found", done=20000, total=0, clips_done=0, clips_total=1, seconds=2.0))
    assert line == "[2.0 s] clip 1/1: prims found 20000"


def test_a_line_of_a_run_that_was_done_before_ends_there():
    assert describe(at(clips_done=2, clips_total=2, seconds=2.6)) == "[2.6 s] 2/2 clips done"


def test_plain_lines_come_with_news_only(monkeypatch, capsys):
    now = [100.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    display = PlainDisplay()
    for step in range(10):
        display.show(at(stage="render", done=step, total=10, clips_total=2))
    display.show(at(stage="transfer", done=0, total=10, clips_total=2))
    now[0] += 6.0
    display.show(at(stage="transfer", done=5, total=10, clips_total=2))
    display.show(at(stage="transfer", done=6, total=10, clips_total=2))
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(": ")[2] for line in lines] == ["render 0/10", "transfer 0/10", "transfer 5/10"]


def test_a_pipe_gets_plain_lines(monkeypatch):
    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert type(make_display()) is PlainDisplay


def test_a_terminal_gets_a_bar(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    display = make_display()
    assert type(display) is RichDisplay
    with display:
        display.show(at(stage="render", done=3, total=24, clips_done=1, clips_total=4, eta=130.0, stage_eta=9.0))
    text = terminal.getvalue()
    assert "render" in text
    assert "2 min 10 s left" in text and "9.0 s left" in text


def test_no_color_means_no_color(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    with make_display() as display:
        display.show(at(stage="render", done=3, total=24, clips_done=1, clips_total=4))
    codes = [part.split("m")[0] for part in terminal.getvalue().split("\x1b[")[1:] if "m" in part[:12]]
    assert not any(
        code.split(";")[0] in {str(number) for number in [*range(30, 50), *range(90, 108)]} for code in codes
    )


def test_a_dumb_terminal_gets_plain_lines(monkeypatch):
    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.setenv("TERM", "dumb")
    assert type(make_display()) is PlainDisplay


def test_quiet_says_nothing(capsys):
    with make_display(quiet=True) as display:
        display.show(at(stage="render", clips_total=3))
    assert capsys.readouterr().err == ""

"""Work aside: one piece at a time, in order, errors told, torch's threads as they were."""

import threading

import pytest
import torch  # noqa: TID253

from cosmos.bridge.kernels.runs import threads_of
from cosmos.bridge.transfer.aside import Aside, Room


@pytest.fixture
def cores(monkeypatch):
    """Set how many cores there are."""
    return lambda count: monkeypatch.setattr("cosmos.bridge.transfer.aside._cores", lambda: count)


@pytest.mark.parametrize("count, busy", [(4, True), (2, False)])
def test_pieces_run_beside_this_thread_and_each_other_and_end_in_their_order(cores, count, busy):
    cores(count)
    here, seen, free = threading.get_ident(), [], threading.Event()

    def first():
        free.wait(5.0)
        seen.append("worked on the first")
        return threading.get_ident()

    def second():
        seen.append("worked on the second")
        free.set()  # the first waits for it: they go on together
        return threading.get_ident()

    with Aside(on=True, busy=busy) as aside:
        aside.begin(first, lambda thread: seen.append(("first", thread != here)))
        aside.begin(second, lambda thread: seen.append(("second", thread != here)))
        aside.wait()
    assert seen == ["worked on the second", "worked on the first", ("first", True), ("second", True)]


def test_on_two_cores_a_piece_begins_when_the_one_before_has_ended(cores):
    cores(2)
    here, seen, free = threading.get_ident(), [], threading.Event()
    with Aside(on=True) as aside:
        aside.begin(
            lambda: (free.wait(5.0), threading.get_ident()), lambda made: seen.append(("first", made[1] != here))
        )
        aside.begin(lambda: seen.append("works on the second"), lambda _: seen.append("second"))
        seen.append("goes on here")
        free.set()
        aside.wait()
    assert seen == ["goes on here", ("first", True), "works on the second", "second"]


def test_a_third_piece_waits_for_the_first():
    seen, free = [], threading.Event()
    with Aside(on=True) as aside:
        aside.begin(lambda: free.wait(5.0), lambda _: seen.append("first"))
        aside.begin(lambda: None, lambda _: seen.append("second"))
        threading.Timer(0.05, free.set).start()
        aside.begin(lambda: list(seen), lambda before: seen.append(before[:1]))
        aside.wait()
    assert seen == ["first", "second", ["first"]]


def _fail():
    raise MemoryError("no room")


def test_what_a_piece_raises_is_raised_here():
    seen = []
    with Aside(on=True) as aside:
        aside.begin(_fail, seen.append)
        aside.begin(lambda: "later", seen.append)
        with pytest.raises(MemoryError, match="no room"):
            aside.wait()
        aside.wait()  # told once
    assert not seen  # nothing is handed over behind a piece that failed


def test_turned_off_it_works_at_once_on_this_thread():
    seen = []
    with Aside(on=False) as aside:
        aside.begin(threading.get_ident, seen.append)
        assert seen == [threading.get_ident()] and aside.rooms == ()


def test_a_piece_and_this_thread_have_a_quarter_of_torchs_threads_and_others_keep_theirs(cores):
    cores(8)
    before, seen = torch.get_num_threads(), []
    torch.set_num_threads(8)
    try:
        with Aside(on=True) as aside:
            aside.begin(torch.get_num_threads, seen.append)
            aside.wait()
            assert torch.get_num_threads() == 2  # more would wait busily for the cores that the pieces work on
            aside.alone(torch.get_num_threads, seen.append)
            assert torch.get_num_threads() == 2
        assert torch.get_num_threads() == 8
        with pytest.raises(MemoryError), Aside(on=True) as aside:
            aside.alone(_fail, seen.append)
        assert torch.get_num_threads() == 8
        other = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        other.start()
        other.join()
    finally:
        torch.set_num_threads(before)
    assert seen == [2, 8, 8]


def test_kernels_of_this_thread_take_the_cores_that_pieces_leave(cores):
    """A launch waits for each thread that shares it, and one that a piece works on is late."""
    cores(6)
    before, seen, free = torch.get_num_threads(), [], threading.Event()
    torch.set_num_threads(8)
    try:
        with Aside(on=True) as aside:
            seen.append(threads_of(8))
            aside.begin(lambda: (threads_of(8), free.wait(5.0)), seen.append)
            seen.append(threads_of(8))
            aside.begin(lambda: None, lambda _: None)
            seen.append(threads_of(8))
            free.set()
            aside.wait()
            seen.append(threads_of(8))
    finally:
        torch.set_num_threads(before)
    assert seen == [6, 4, 2, (2, True), 6]
    assert threads_of(8) == 8


def test_a_room_gives_the_same_memory_again_and_new_memory_for_another_shape():
    room, kind = Room(), {"dtype": torch.float32, "device": torch.device("cpu")}
    held = room.take("hints", (2, 3), **kind)
    assert room.take("hints", (2, 3), **kind) is held
    assert room.take("maps", (2, 3), **kind) is not held
    assert room.take("hints", (2, 4), **kind).shape == (2, 4)

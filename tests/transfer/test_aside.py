"""Work aside: one piece at a time, in order, errors told, torch's threads as they were."""

import threading

import pytest
import torch  # noqa: TID253

from cosmos.bridge.transfer.aside import Aside, Room


def test_pieces_run_beside_this_thread_one_after_the_other():
    here, seen, free = threading.get_ident(), [], threading.Event()

    def first():
        free.wait(5.0)
        seen.append(("first", threading.get_ident() != here))

    with Aside(on=True) as aside:
        aside.begin(first)
        free.set()  # this thread goes on while the piece waits
        aside.begin(lambda: seen.append(("second", threading.get_ident() != here)))
        aside.wait()
    assert seen == [("first", True), ("second", True)]


def test_what_a_piece_raises_is_raised_here():
    def fail():
        raise MemoryError("no room")

    with Aside(on=True) as aside:
        aside.begin(fail)
        with pytest.raises(MemoryError, match="no room"):
            aside.begin(lambda: None)
        aside.wait()  # told once


def test_turned_off_it_works_at_once_on_this_thread():
    seen = []
    with Aside(on=False) as aside:
        aside.begin(lambda: seen.append(threading.get_ident()))
        assert seen == [threading.get_ident()] and aside.rooms == ()


def test_a_piece_has_half_of_torchs_threads_and_others_keep_theirs():
    before, seen = torch.get_num_threads(), []
    torch.set_num_threads(4)
    try:
        with Aside(on=True) as aside:
            aside.begin(lambda: seen.append(torch.get_num_threads()))
            aside.wait()
            assert torch.get_num_threads() == 4
        other = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        other.start()
        other.join()
    finally:
        torch.set_num_threads(before)
    assert seen == [2, 4]


def test_a_room_gives_the_same_memory_again_and_new_memory_for_another_shape():
    room, kind = Room(), {"dtype": torch.float32, "device": torch.device("cpu")}
    held = room.take("hints", (2, 3), **kind)
    assert room.take("hints", (2, 3), **kind) is held
    assert room.take("maps", (2, 3), **kind) is not held
    assert room.take("hints", (2, 4), **kind).shape == (2, 4)

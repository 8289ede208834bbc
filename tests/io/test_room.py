"""Memory for pictures: never more than there is, and always given back."""

import threading

import pytest

from curate.errors import SampleError
from curate.io.plan import Header
from curate.io.room import Room


def test_what_never_fits_is_refused_at_once():
    with pytest.raises(SampleError, match="too_many_pixels"), Room(10).take(11):
        raise AssertionError("let in")


def test_it_is_given_back_also_after_an_error():
    room = Room(10)
    for _ in range(3):
        with pytest.raises(KeyError), room.take(10):
            raise KeyError
    with room.take(4), room.take(6):
        pass


def test_threads_never_hold_more_than_there_is():
    room, lock, held, most = Room(10), threading.Lock(), 0, []

    def work(size: int) -> None:
        nonlocal held
        for _ in range(50):
            with room.take(size):
                with lock:
                    held += size
                    most.append(held)
                with lock:
                    held -= size

    threads = [threading.Thread(target=work, args=(size,)) for size in (1, 3, 6, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(most) == 200 and max(most) <= 10


def test_what_a_header_costs():
    plain = Header("JPEG", (8000, 8000), upright=True)
    assert [plain.cost(by) // 1_000_000 for by in (0, 1, 2, 8)] == [448, 256, 64, 4]
    scans = Header("JPEG", (8000, 8000), upright=True, layers=((2, 2), (1, 1), (1, 1)))
    assert scans.cost(8) - plain.cost(8) == 2 * 96_000_000  # 16 bits for each of 1.5 samples a pixel
    assert Header("WEBP", (1000, 1000)).cost(1) == 16_000_000
    assert Header("TIFF", (10, 10), tile=10_000_000).cost(1) == 120_000_000

"""Does the flash journal keep what counts, whenever the power goes and whatever wears out?"""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_stubs.alarm_box import journal
from firmware_stubs.alarm_box.journal import ADDITION, ALARM, QUIET, REPLY, SHOWN, WAITING, Journal
from tests.firmware.flash import Chip, PowerCut


def opened(chip: Chip) -> Any:
    """The journal as a start finds it."""
    book = Journal(chip)
    book.load()
    return book


def keep(book: Any, seq: int, about: int = ALARM, size: int = 60) -> int:
    """Keep a message whose payload tells its number."""
    payload = (b"%d " % seq) * size
    slot: int = book.keep(book.boot, seq, about, payload, size)
    return slot


def waiting(book: Any) -> dict[tuple[int, int], bytes]:
    """What has no receipt, by boot and number."""
    return {
        (book.boots[slot], book.seqs[slot]): bytes(book.payload(slot) or b"")
        for slot in range(journal.MAX_SLOTS)
        if book.state[slot] == WAITING
    }


def test_a_new_flash_is_empty_and_takes_what_it_is_given() -> None:
    book = opened(Chip())
    assert (book.boot, book.waiting(), book.worn) == (0, 0, False)
    assert book.begin(7)
    assert keep(book, 1) >= 0
    assert waiting(book) == {(7, 1): (b"1 " * 60)[:60]}


def test_a_restart_finds_messages_boot_settings_and_commands() -> None:
    chip = Chip()
    book = opened(chip)
    book.begin(7)
    for seq in range(1, 5):
        keep(book, seq)
    book.keep_value(1, b"where the broker is")
    book.keep_value(1, b"where it is now")
    book.carried_out(b"8 bytes.")
    book.held(book.find(7, 2))
    again = opened(chip)
    assert again.boot == 7
    assert set(waiting(again)) == {(7, 1), (7, 3), (7, 4)}
    assert again.state[again.find(7, 2)] == SHOWN
    assert again.kept == {1: b"where it is now"}
    assert again.commands == [b"8 bytes."]


@pytest.mark.parametrize("about", [REPLY, ALARM | ADDITION, ALARM | QUIET])
def test_what_is_not_shown_is_forgotten_with_its_receipt(about: int) -> None:
    book = opened(chip := Chip())
    book.begin(7)
    book.held(keep(book, 1, about))
    assert book.find(7, 1) == -1
    assert opened(chip).find(7, 1) == -1


def test_an_alarm_is_released_once() -> None:
    book = opened(chip := Chip())
    book.begin(7)
    book.held(keep(book, 1))
    book.release(book.find(7, 1))
    assert opened(chip).find(7, 1) == -1


def test_two_hundred_alarms_wait_without_a_receipt() -> None:
    book = opened(chip := Chip(16, 4096))
    book.begin(7)
    for seq in range(1, 201):
        assert keep(book, seq, size=80) >= 0
        book.tidy()
    assert len(waiting(opened(chip))) == 200


def test_a_full_flash_says_so_and_takes_more_when_receipts_have_come() -> None:
    book = opened(chip := Chip(5, 1024))
    book.begin(7)
    seq = 0
    while not book.is_full():
        seq += 1
        assert keep(book, seq) >= 0
        book.tidy()
    while keep(book, seq + 1) >= 0:
        seq += 1
        book.tidy()
    assert not book.worn
    kept = waiting(book)
    assert set(kept) == {(7, n) for n in range(1, seq + 1)}
    assert waiting(opened(chip)) == kept
    for n in range(1, seq + 1):
        book.held(book.find(7, n))
        book.release(book.find(7, n))
        book.tidy()
    for _ in range(10):
        book.tidy()
    assert not book.is_full()
    assert keep(book, seq + 1) >= 0
    assert set(waiting(opened(chip))) == {(7, seq + 1)}


def test_sectors_wear_alike() -> None:
    book = opened(chip := Chip(8, 512))
    book.begin(7)
    keep(book, 1)  # one that is never receipted has to be copied along
    book.keep_value(1, b"settings")
    for seq in range(2, 1000):
        slot = keep(book, seq, REPLY)
        assert slot >= 0
        book.held(slot)
        book.tidy()
    assert max(chip.erasures) - min(chip.erasures) <= 1
    again = opened(chip)
    assert set(waiting(again)) == {(7, 1)}
    assert again.kept == {1: b"settings"}
    assert again.boot == 7


def day(book: Any, done: list[tuple[str, int]]) -> None:
    """Some starts with presses and receipts, enough for the ring to turn; ``done``: what was."""
    for boot in range(book.boot + 1, book.boot + 6):
        book.begin(boot)
        for seq in range(1, 12):
            number = boot * 100 + seq
            done.append(("begun", number))
            if keep(book, seq, size=30) >= 0:
                done.append(("kept", number))
            if seq != 6:
                done.append(("receipted", number))
                book.held(book.find(boot, seq))
                book.release(book.find(boot, seq))
            if seq % 5 == 0:
                book.keep_value(1, b"settings %d" % number)
                done.append(("value", number))
                book.carried_out(hashlib.sha256(b"%d" % number).digest()[:8])
            book.tidy()


@pytest.mark.slow
def test_the_power_goes_at_every_byte() -> None:
    whole = Chip(5, 512)
    book = opened(whole)
    whole.trace = [[]]
    told: list[tuple[int, int]] = []  # how much was done when so much was written

    class Done(list[tuple[str, int]]):
        def append(self, each: tuple[str, int]) -> None:
            super().append(each)
            assert whole.trace is not None
            told.append((len(whole.trace), len(self)))

    done = Done()
    day(book, done)
    assert sum(whole.erasures) >= 4  # it has turned
    chip, so_far = Chip(5, 512), 0
    for step, changed in enumerate(whole.trace):
        while so_far < len(told) and told[so_far][0] <= step:
            so_far += 1
        for at, value in changed:
            chip.cells[at] = value
        if changed:
            torn = Chip(5, 512)
            torn.cells[:] = chip.cells
            check(torn, done[:so_far], works_on=step % 16 == 0)


def test_a_cut_in_the_middle_is_a_cut() -> None:
    """The chip of these tests stops where it should: else the test above proves nothing."""
    book = opened(chip := Chip())
    book.begin(7)
    chip.budget = 40
    with pytest.raises(PowerCut):
        keep(book, 1)
    assert not waiting(opened(chip))


def check(chip: Chip, done: list[tuple[str, int]], *, works_on: bool) -> None:
    """What was kept and not receipted is there, whole; what was never begun is not."""
    again = opened(chip)
    found = waiting(again)
    kept = {number for what, number in done if what == "kept"}
    begun = {number for what, number in done if what == "begun"}
    receipted = {number for what, number in done if what == "receipted"}
    numbers = {boot * 100 + seq for boot, seq in found}
    assert kept - receipted <= numbers <= begun
    last = done[-1][1] if done else None
    assert numbers & receipted <= {last}  # its receipt may be what was cut
    for (_, seq), payload in found.items():
        assert payload == ((b"%d " % seq) * 30)[:30]
    values = [number for what, number in done if what == "value"]
    if values:
        assert again.kept[1] in {b"settings %d" % n for n in begun}
        assert int(again.kept[1].split()[1]) >= values[-1]
    if not works_on:
        return
    assert again.begin(again.boot + 1)
    assert keep(again, 1, size=30) >= 0
    again.tidy()
    assert again.boot in {boot for boot, _ in waiting(opened(chip))}
    assert opened(chip).boot == again.boot


def test_a_file_cut_at_every_byte_reads_as_far_as_it_goes() -> None:
    book = opened(chip := Chip(5, 512))
    book.begin(7)
    ends = []
    for seq in range(1, 5):
        keep(book, seq)
        ends.append(book._place + 6 + 9 + 60)  # blank bytes behind it count for nothing
    for cut in range(ends[-1] + 1):
        torn = Chip(5, 512)
        torn.cells[:cut] = chip.cells[:cut]
        found = waiting(opened(torn))
        assert set(found) == {(7, n) for n, end in enumerate(ends, 1) if end <= cut}


@given(st.binary(max_size=2048))
@settings(max_examples=200)
def test_any_bytes_for_a_flash_are_survived(noise: bytes) -> None:
    chip = Chip(5, 512)
    chip.cells[: len(noise)] = noise
    book = opened(chip)
    assert book.begin(7)
    assert keep(book, 1) >= 0
    assert (7, 1) in waiting(opened(chip))


@given(at=st.integers(0, 511), bit=st.integers(0, 7))
@settings(max_examples=200)
def test_a_bit_that_falls_costs_one_record(at: int, bit: int) -> None:
    book = opened(chip := Chip(5, 512))
    book.begin(7)
    for seq in range(1, 5):
        keep(book, seq, size=30)
    chip.cells[at] &= ~(1 << bit)
    if at >= 16:  # the first line numbers the sector
        assert len(waiting(opened(chip))) >= 3


def test_a_write_that_fails_is_told() -> None:
    book = opened(chip := Chip())
    book.begin(7)
    chip.fails = True
    assert keep(book, 1) == -1
    assert book.worn


def test_a_worn_cell_is_passed_over() -> None:
    book = opened(chip := Chip())
    book.begin(7)
    chip.stuck = {book._line * 16 + 3}
    assert keep(book, 1) >= 0
    assert not book.worn
    assert set(waiting(opened(chip))) == {(7, 1)}


def test_a_flash_that_is_gone_harms_nobody() -> None:
    class Gone(Chip):
        def read(self, at: int, buf: memoryview) -> None:
            raise OSError(5)

        def write(self, at: int, buf: memoryview) -> None:
            raise OSError(5)

        def erase(self, sector: int) -> None:
            raise OSError(5)

    book = opened(Gone())
    assert book.worn
    assert not book.begin(7)
    assert keep(book, 1) == -1

"""Runs on MicroPython: does the way of a press allocate? The heap is locked while it is gone."""

import sys

import micropython
from alarm_box import hal, hal_unix, lights
from alarm_box.main import Device

board = hal_unix.Board(sys.argv)
board.device = device = Device(board)
box = device.box
ticks = board.ticks()
shown = []
for _ in range(20):
    device.turn(ticks)


def press(mask):
    """Close and open a contact under a locked heap; the lights tell later."""
    board._closed |= mask
    board._edges |= mask
    micropython.heap_lock()
    try:
        for step in range(0, 100, 10):
            box.look(ticks + step, False)
        board._closed = 0
        for step in range(100, 200, 10):
            box.look(ticks + step, False)
    finally:
        micropython.heap_unlock()


for mask in (hal.PANIC, hal.PANIC, hal.DURESS, hal.CASE, hal.KEY):
    press(mask)
    ticks += 1000
assert (box.panic.seq, box.duress.seq) == (1, 2)
assert box.panic.count == 2
assert device.outbox.waiting() == 4, device.outbox.waiting()  # an addition tells the count
try:
    micropython.heap_lock()
    shown.append(ticks * 3.5)
    failed = False
except MemoryError:
    failed = True
micropython.heap_unlock()
assert failed  # so the lock locks
print("no allocation", lights.LOOKS[1][0])

"""On the Unix port: micropython -m alarm_box FOLDER. A board's own main.py says the same."""

import gc

gc.threshold(2048)  # collect early: what is left of loading must not stand in the way of buffers

from alarm_box.main import start

start()

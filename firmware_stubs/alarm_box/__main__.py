"""On the Unix port: micropython -m alarm_box FOLDER."""

from alarm_box.main import start

start()

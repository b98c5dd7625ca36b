"""What does the gateway ask of the box, and does the box do it? Each command once, by its id."""

import hashlib

from . import frame, lights, settings
from .clock import ticks_add, ticks_diff

IDENTIFY_MS = 30_000
RING_BACK_MS = 60_000
REBOOT_WITHIN_MS = 5_000
MAX_ID_CHARS = 200


class Commands:
    """Carries commands out. ``device`` has restart() and updating()."""

    def __init__(self, box, outbox, values, device):
        self._box, self._outbox = box, outbox
        self._values = values  # settings
        self._device = device
        self._reboot_due = None

    def begin(self, ticks):
        """After a start: tell of the reboot that was asked for."""
        book = self._outbox.book
        asked = book.kept.get(settings.KEPT_REBOOT)
        if asked:
            book.keep_value(settings.KEPT_REBOOT, b"")
            self._box.reply(str(asked, "utf-8"), "done", None, ticks)

    def turn(self, ticks):
        """Restart when the replies are out, or have had their time."""
        if self._reboot_due is None:
            return
        if self._box.is_busy():
            self._reboot_due = None  # somebody has pressed meanwhile: the press goes first
            asked = self._outbox.book.kept.get(settings.KEPT_REBOOT)
            self._outbox.book.keep_value(settings.KEPT_REBOOT, b"")
            if asked:
                self._box.reply(str(asked, "utf-8"), "failed", "an alarm is open", ticks)
        elif ticks_diff(ticks, self._reboot_due) >= 0 or not self._outbox.waiting():
            self._device.restart()

    def take(self, keys, ticks):
        """A command that came. What is none is not answered: there is nobody to name."""
        id_, act, expires = keys.get("id"), keys.get("act"), keys.get("exp")
        if not isinstance(id_, str) or not isinstance(act, str) or len(id_) > MAX_ID_CHARS:
            return
        digest = hashlib.sha256(id_.encode()).digest()[:8]
        book = self._outbox.book
        if digest in book.commands:
            return
        written = book.carried_out(digest)
        now_ms = self._box.clock.unix_ms(ticks)
        if not frame.number(expires, -(1 << 63)) or (now_ms and expires < now_ms):
            self._box.reply(id_, "refused", "expired", ticks)
            return
        args = keys.get("args")
        do = self.ACTS.get(act)
        if do is None:
            self._box.reply(id_, "refused", "unknown act", ticks)
            return
        self._box.reply(id_, "delivered", None, ticks)
        if act in ("reboot", "update") and not written:
            # Restarted, the box would not know that it has done so already.
            self._box.reply(id_, "refused", "cannot be remembered", ticks)
            return
        do(self, id_, args if isinstance(args, dict) else {}, ticks)

    def _identify(self, id_, args, ticks):
        self._call(id_, lights.IDENTIFY, lights.SILENCE, IDENTIFY_MS, ticks)

    def _ring_back(self, id_, args, ticks):
        self._call(id_, lights.RING_BACK, lights.RINGING, RING_BACK_MS, ticks)

    def _call(self, id_, look, tune, for_ms, ticks):
        if self._box.is_silent():  # whoever is in the room must not learn of it
            self._box.reply(id_, "refused", "a silent alarm is open", ticks)
            return
        self._box.call(look, tune, for_ms, ticks)
        self._box.reply(id_, "shown", None, ticks)
        self._box.reply(id_, "done", None, ticks)

    def _config(self, id_, args, ticks):
        refused = self._values.change(args)
        self.keep_config()
        if refused:
            self._box.reply(id_, "refused", refused, ticks)
        else:
            self._box.reply(id_, "done", None, ticks)

    def keep_config(self):
        """Keep what may be changed for the next start; a copy that is there is not written."""
        writer = frame.Writer(200)
        kept = {key: getattr(self._values, key) for key in settings.CHANGEABLE}
        kept["version"] = self._values.version
        frame.message(writer, kept)
        data = bytes(memoryview(writer.buf)[: writer.at])
        book = self._outbox.book
        if book.kept.get(settings.KEPT_CONFIG) != data:
            book.keep_value(settings.KEPT_CONFIG, data)

    def _reboot(self, id_, args, ticks):
        if self._box.is_busy():
            self._box.reply(id_, "refused", "an alarm is open", ticks)
            return
        self._outbox.book.keep_value(settings.KEPT_REBOOT, id_.encode())
        self._box.reply(id_, "accepted", None, ticks)
        self._reboot_due = ticks_add(ticks, REBOOT_WITHIN_MS)

    def _update_program(self, id_, args, ticks):
        if self._box.is_busy():
            self._box.reply(id_, "refused", "an alarm is open", ticks)
            return
        refused = self._device.updating().start(id_, args, ticks)
        if refused:
            self._box.reply(id_, "refused", refused, ticks)
        else:
            self._box.reply(id_, "accepted", None, ticks)

    ACTS = {
        "identify": _identify,
        "ring_back": _ring_back,
        "config": _config,
        "reboot": _reboot,
        "update": _update_program,
    }

"""Is that program ours, and what if it does not work? Signed, into the other of two slots.

    IDLE --command, signature right--> FETCHING --all bytes, hash right--> restart
    ON TRIAL --link up and a self-test receipted--> kept
    ON TRIAL --ten minutes without, or any restart--> the slot before

What is signed is the text of manifest(): version, size and SHA-256, with RSA and PKCS #1 v1.5.
Its check is one pow() with three arguments: MicroPython has that, and no SHA-512 for Ed25519.
"""

import hashlib
import struct

from micropython import const

from . import settings
from .clock import ticks_add, ticks_diff

IDLE = const(0)
FETCHING = const(1)
ON_TRIAL = const(2)

TRIAL_MS = const(600_000)
SILENCE_MS = const(20_000)
MAX_SIZE = const(4_194_304)
CHUNK = const(1024)

# DER of DigestInfo for SHA-256 (RFC 8017, 9.2, note 1).
_SHA256_INFO = b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"
_EXPONENT = const(65537)


def manifest(version, size, digest):
    """What is signed. ``digest``: SHA-256 of the program, in hex."""
    return ("fieldgate alarm box\n%d\n%d\n%s\n" % (version, size, digest)).encode()


def is_signed(text, signature, modulus):
    """Whether the signature is right, byte for byte: nothing in it is parsed."""
    size = (_bits(modulus) + 7) // 8
    if size < 256 or len(signature) != size:
        return False
    number = int.from_bytes(signature, "big")
    if number >= modulus:
        return False
    found = pow(number, _EXPONENT, modulus).to_bytes(size, "big")
    info = _SHA256_INFO + hashlib.sha256(text).digest()
    return found == b"\x00\x01" + b"\xff" * (size - len(info) - 3) + b"\x00" + info


def _bits(number):
    bits = 0
    while number:
        number >>= 8
        bits += 8
    return bits


class Update:
    """The other slot."""

    def __init__(self, hal, box, outbox, values, restart):
        self.state = ON_TRIAL if hal.slot_on_trial() else IDLE
        self._hal, self._box, self._outbox = hal, box, outbox
        self._values = values
        self._restart = restart
        self._id = ""
        self._sock = None
        self._trial_until = ticks_add(hal.ticks(), TRIAL_MS)
        self._test = 0

    # -- on trial, or fallen back ------------------------------------------

    def begin(self, ticks):
        """After a start: say what has become of an update."""
        version, _ = self._asked()
        if not version:
            return
        if version == self._values.program_version:
            if self.state != ON_TRIAL:  # kept before the power went
                self._tell("done", None, ticks)
        else:
            self._tell("failed", "fell back", ticks)

    def _asked(self):
        kept = self._outbox.book.kept.get(settings.KEPT_UPDATE)
        if not kept or len(kept) < 4:
            return 0, ""
        return struct.unpack(">I", kept[:4])[0], str(kept[4:], "utf-8")

    def _tell(self, state, detail, ticks):
        _, id_ = self._asked()
        self._outbox.book.keep_value(settings.KEPT_UPDATE, b"")
        if id_:
            self._box.reply(id_, state, detail, ticks)

    def _turn_trial(self, ticks):
        if self._box.link_up:
            if not self._test:
                self._test = self._box.test(ticks)
            elif not self._outbox.waits(self._box.boot, self._test):
                self._hal.slot_keep()
                self.state = IDLE
                self._tell("done", None, ticks)
                return
        if ticks_diff(ticks, self._trial_until) >= 0:
            self._restart()  # not kept: the one before comes back

    # -- fetching ----------------------------------------------------------

    def start(self, id_, args, ticks):
        """Begin; why not, or None."""
        if self.state != IDLE:
            return "another update is under way"
        version, size, digest = args.get("version"), args.get("size"), args.get("sha256")
        signature, url = args.get("sig"), args.get("url")
        if not (isinstance(version, int) and isinstance(size, int) and isinstance(digest, str)):
            return "version, size and sha256 are needed"
        if not (isinstance(signature, bytes) and isinstance(url, str)):
            return "url and sig are needed"
        if version <= self._values.program_version or version >= 1 << 32:
            return "not newer"
        if not 0 < size <= MAX_SIZE:
            return "size"
        if not is_signed(manifest(version, size, digest), signature, self._values.update_key):
            return "signature"
        try:
            host, port, path = _parts(url)
            self._hal.slot_open(size)
            self._sock = self._hal.dial(host, port)
        except (OSError, ValueError) as error:
            return "cannot be fetched: " + str(error)
        self._id, self._version, self._size, self._digest = id_, version, size, digest
        self._request = ("GET %s HTTP/1.0\r\nHost: %s\r\n\r\n" % (path, host)).encode()
        self._head, self._count = b"", 0
        self._hash = hashlib.sha256()
        self._buf = bytearray(CHUNK)
        self._moved = ticks
        self.state = FETCHING
        self._box.updating = True
        return None

    def turn(self, ticks):
        """The next piece, if there is one; one at a time, for the button is looked at between."""
        if self.state == ON_TRIAL:
            self._turn_trial(ticks)
        elif self.state == FETCHING:
            try:
                if self._box.is_busy():
                    raise OSError("an alarm is open")
                self._fetch(ticks)
            except (OSError, ValueError) as error:
                self._stop()
                self._box.reply(self._id, "failed", str(error), ticks)

    def _fetch(self, ticks):
        if ticks_diff(ticks, self._moved) > SILENCE_MS:
            raise OSError("nothing comes")
        events = self._hal.events(self._sock)
        if self._request:
            if events & 4:
                sent = self._sock.write(self._request)
                self._request = self._request[sent or 0 :]
            return
        if not events & 1:
            return
        count = self._sock.readinto(self._buf)
        if count is None:
            return
        if count == 0:
            raise OSError("ended after %d bytes" % self._count)
        self._moved = ticks
        data = memoryview(self._buf)[:count]
        if self._head is not None:
            data = self._take_head(bytes(data))
        self._count += len(data)
        if self._count > self._size:
            raise OSError("longer than it was said to be")
        if data:
            self._hal.slot_write(data)
            self._hash.update(data)
        if self._count == self._size:
            self._finish(ticks)

    def _take_head(self, data):
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            if len(self._head) > 2048:
                raise ValueError("no HTTP")
            return b""
        head, self._head = self._head, None
        if b" 200 " not in head[: head.find(b"\r\n") + 1]:
            raise ValueError("not there")
        return head[end + 4 :]

    def _finish(self, ticks):
        found = "".join("%02x" % byte for byte in self._hash.digest())
        if found != self._digest:
            raise ValueError("hash")
        self._hal.slot_start()
        asked = struct.pack(">I", self._version) + self._id.encode()
        self._outbox.book.keep_value(settings.KEPT_UPDATE, asked)
        self._stop()
        self._box.reply(self._id, "step", "restarting on trial", ticks)
        self._restart()

    def _stop(self):
        self.state = IDLE
        self._box.updating = False
        if self._sock is not None:
            self._sock.close()
            self._sock = None


def _parts(url):
    if not url.startswith("http://"):
        raise ValueError("only http: the signature vouches for what comes")
    host, slash, path = url[7:].partition("/")
    name, _, port = host.partition(":")
    return name, int(port or 80), slash + path or "/"

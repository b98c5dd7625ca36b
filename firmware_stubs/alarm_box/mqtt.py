"""What do we say to a broker, and what does it say to us? MQTT 3.1.1 without a socket.

Bytes that came go in by took(), in whatever pieces they came; what is to be sent stands in
``out`` and leaves as fast as the socket takes it. Numbers in [] are clauses of MQTT 3.1.1.

Every session is a clean one [3.1.2.4]: what matters is repeated until its receipt, so that the
broker need remember nothing, and a PUBACK proves no more than that the broker is there.
"""

import struct

from micropython import const

from .clock import ticks_diff

_CONNECT = const(0x10)
_CONNACK = const(0x20)
_PUBLISH = const(0x30)
_PUBACK = const(0x40)
_SUBSCRIBE = const(0x82)
_SUBACK = const(0x90)
_PINGREQ = const(0xC0)
_PINGRESP = const(0xD0)
_DISCONNECT = const(0xE0)

MAX_IN_FLIGHT = const(8)
"""QoS 1 messages without PUBACK: fewer than the 20 that brokers take."""


PUBACK_TIMEOUT_MS = const(10_000)


class Broken(Exception):
    """The broker says what it may not, or refuses: the connection is of no use."""


class Client:
    """One connection at a time; restart() makes it new. ``owner`` is told what comes:

    on_connack(), on_suback(), on_puback(token), on_message(topic, payload), on_pong().
    """

    def __init__(self, owner=None, in_size=2048, out_size=1024):
        self.owner = owner
        self._in = bytearray(in_size)
        self._in_view = memoryview(self._in)
        self.out = bytearray(out_size)
        self._pids = [0] * MAX_IN_FLIGHT
        self._tokens = [0] * MAX_IN_FLIGHT
        self._since = [0] * MAX_IN_FLIGHT
        self._pid = 0
        self.restart(0)

    def restart(self, ticks):
        """A new connection: nothing is left of the last."""
        self._answered = ticks  # when the last PUBACK came
        self._got = 0
        self._skip = 0  # bytes of a message too long to be read
        self._skip_pid = 0
        self._connected = False
        self.out_end = 0
        for n in range(MAX_IN_FLIGHT):
            self._pids[n] = 0

    # -- what we say -------------------------------------------------------

    def connect(self, client_id, user, password, keepalive_s, will_topic, will):
        """Ask to be let in, with a retained last will at QoS 1 [3.1]."""
        flags = 0x02 | 0x04 | 0x08 | 0x20 | (0x80 if user else 0) | (0x40 if password else 0)
        parts = [client_id.encode(), will_topic.encode(), will]
        if user:
            parts.append(user.encode())
            if password:
                parts.append(password.encode())
        size = 10
        for part in parts:
            size += 2 + len(part)
        self._head(_CONNECT, size)
        self._put(struct.pack(">H4sBBH", 4, b"MQTT", 4, flags, keepalive_s))
        for part in parts:
            self._string(part)

    def publish(self, topic, payload, qos, retain, ticks, token=-1):
        """A message, if there is room for it now. Its token comes back with its PUBACK."""
        topic = topic.encode()
        size = 2 + len(topic) + (2 if qos else 0) + len(payload)
        if self.out_end + size + 5 > len(self.out):
            return False
        free = 0
        if qos:
            free = self._free_flight()
            if free < 0:
                return False
        self._head(_PUBLISH | (qos << 1) | (1 if retain else 0), size)
        self._string(topic)
        if qos:
            pid = self._next_pid()
            self._pids[free], self._tokens[free], self._since[free] = pid, token, ticks
            self._put(struct.pack(">H", pid))
        self._put(payload)
        return True

    def subscribe(self, topic):
        """Listen there at QoS 1 [3.8]."""
        topic = topic.encode()
        self._head(_SUBSCRIBE, 5 + len(topic))
        self._put(struct.pack(">H", self._next_pid()))
        self._string(topic)
        self._put(b"\x01")

    def ping(self):
        """Are you there? [3.12]"""
        if self.out_end + 2 <= len(self.out):
            self._head(_PINGREQ, 0)

    def disconnect(self):
        """We go: the last will is not to be told [3.14]."""
        if self.out_end + 2 <= len(self.out):
            self._head(_DISCONNECT, 0)

    def sent(self, count):
        """The socket has taken so many bytes of ``out``."""
        rest = self.out_end - count
        self.out[:rest] = self.out[count : self.out_end]
        self.out_end = rest

    def room_in_flight(self):
        """How many more messages may be without PUBACK."""
        count = 0
        for pid in self._pids:
            count += pid == 0
        return count

    def is_ignored(self, ticks):
        """Whether no PUBACK has come for long, though messages wait for one. A single one that
        got lost is waited for no more: its message has a receipt to wait for."""
        for n in range(MAX_IN_FLIGHT):
            if self._pids[n] and ticks_diff(ticks, self._since[n]) > PUBACK_TIMEOUT_MS:
                if ticks_diff(self._since[n], self._answered) >= 0:
                    return True
                self._pids[n] = 0
        return False

    def _next_pid(self):
        self._pid = self._pid % 0xFFFF + 1
        while self._pid in self._pids:
            self._pid = self._pid % 0xFFFF + 1
        return self._pid

    def _free_flight(self):
        for n in range(MAX_IN_FLIGHT):
            if self._pids[n] == 0:
                return n
        return -1

    def _head(self, first, size):
        if self.out_end + size + 5 > len(self.out):
            raise Broken("the broker takes nothing")
        self._put(bytes([first]))
        while size > 0x7F:
            self._put(bytes([size & 0x7F | 0x80]))
            size >>= 7
        self._put(bytes([size]))

    def _put(self, data):
        end = self.out_end + len(data)
        self.out[self.out_end : end] = data
        self.out_end = end

    def _string(self, data):
        self._put(struct.pack(">H", len(data)))
        self._put(data)

    # -- what it says ------------------------------------------------------

    def room(self):
        """Where the next bytes go; took() then says how many came."""
        return self._in_view[self._got :]

    def took(self, count, ticks):
        """So many bytes have come. Raise Broken where no more can be made of them."""
        self._got += count
        self._ticks = ticks
        at = 0
        while self._got > at:
            used = self._skipped(at) if self._skip else self._packet(at)
            if used == 0:
                break
            at += used
        rest = self._got - at
        if at and rest:
            self._in[:rest] = self._in[at : self._got]
        self._got = rest

    def _packet(self, at):
        """Take the packet that begins there; how many bytes it has, 0 if it is not whole yet."""
        if not self._connected and self._in[at] != _CONNACK:
            raise Broken("something before CONNACK")
        size, start = 0, at + 1
        shift = 0
        while True:
            if start >= self._got:
                return 0
            byte = self._in[start]
            start += 1
            size |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift > 21:
                raise Broken("a length of five bytes")  # [2.2.3]
        first, end = self._in[at], start + size
        if end - at > len(self._in):
            return self._begin_skip(at, start, end)
        if end > self._got:
            return 0
        self._take(first & 0xF0, first & 0x0F, start, end)
        return end - at

    def _take(self, kind, flags, start, end):
        size = end - start
        if not self._connected:
            if size != 2:
                raise Broken("a CONNACK of %d bytes" % size)
            if self._in[start + 1]:
                raise Broken("refused with code %d" % self._in[start + 1])
            self._connected = True
            self.owner.on_connack()
        elif kind == _PUBLISH:
            self._take_publish(flags, start, end)
        elif kind == _PUBACK and size == 2:
            self._take_puback(self._in[start] << 8 | self._in[start + 1])
        elif kind == _SUBACK and size == 3:
            if self._in[end - 1] > 2:
                raise Broken("may not listen")
            self.owner.on_suback()
        elif kind == _PINGRESP and size == 0:
            self.owner.on_pong()
        else:
            raise Broken("packet of kind %x and %d bytes" % (kind, size))

    def _take_publish(self, flags, start, end):
        topic, pid, body = self._publish_head(flags, start, end)
        self.owner.on_message(topic, self._in_view[body:end])
        if pid:
            self._acknowledge(pid)

    def _publish_head(self, flags, start, end):
        qos = flags >> 1 & 3
        if qos > 1 or end - start < 2:
            raise Broken("QoS that nobody asked for")
        body = start + 2 + (self._in[start] << 8 | self._in[start + 1])
        topic_end, pid = body, 0
        if qos:
            body += 2
        if body > end:
            raise Broken("a topic longer than its packet")
        if qos:
            pid = self._in[topic_end] << 8 | self._in[topic_end + 1]
            if pid == 0:
                raise Broken("packet id 0")  # [2.3.1]
        return bytes(self._in_view[start + 2 : topic_end]), pid, body

    def _acknowledge(self, pid):
        self._head(_PUBACK, 2)
        self._put(struct.pack(">H", pid))

    def _take_puback(self, pid):
        self._answered = self._ticks
        for n in range(MAX_IN_FLIGHT):
            if pid and self._pids[n] == pid:
                self._pids[n] = 0
                self.owner.on_puback(self._tokens[n])
                return
        # One that we do not wait for: a repetition, or from before. It harms nothing.

    # -- a message too long for our memory is passed over, and acknowledged --

    def _begin_skip(self, at, start, end):
        if not self._connected or self._in[at] & 0xF0 != _PUBLISH:
            raise Broken("a packet of %d bytes" % (end - at))
        if self._got - at < 256:
            return 0  # its topic and packet id have to be here first
        if self._got - start < 2 or (self._in[start] << 8 | self._in[start + 1]) > 200:
            raise Broken("a topic that is none of ours")
        _, self._skip_pid, _ = self._publish_head(self._in[at] & 0x0F, start, end)
        self._skip = end - at
        return self._skipped(at)

    def _skipped(self, at):
        count = min(self._skip, self._got - at)
        self._skip -= count
        if self._skip == 0 and self._skip_pid:
            self._acknowledge(self._skip_pid)
            self._skip_pid = 0
        return count

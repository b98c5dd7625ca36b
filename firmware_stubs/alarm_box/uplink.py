"""By which network does the box reach the broker, and is that still there?

One network at a time, the preferred one first; without an answer from it the other one within
five seconds. The preferred one is tried again from time to time, and moved to when it answers
and no alarm is under way. After all have failed a random wait, the longer the more often.
"""

from micropython import const

from . import frame, mqtt
from .clock import ticks_add, ticks_diff

KEEPALIVE_S = const(10)
STEP_MS = const(3_500)
"""For the way from a socket to CONNACK on the preferred network, if there is another."""

LONG_STEP_MS = const(12_000)
QUIET_MS = const(1_500)
LONG_QUIET_MS = const(7_000)
"""Without a byte from the broker for so long it is asked; long where there is no other network
to turn to, or the other one is metered."""

ANSWER_MS = const(2_000)
TRY_PREFERRED_MS = const(30_000)
FIRST_BACKOFF_MS = const(500)
LAST_BACKOFF_MS = const(15_000)
URGENT_BACKOFF_MS = const(3_000)

DOWN = const(0)
DIALLING = const(1)
GREETING = const(2)
UP = const(3)

_POLLOUT = const(4)
_PRESENCE = const(-1)


class Uplink:
    """The connection. Needs turn() again and again; all else is called from there.

    ``listener`` has on_up(), on_down(), on_out(boot, seq), on_message(channel, payload).
    """

    def __init__(self, hal, settings, outbox, client, listener):
        self.state = DOWN
        self.using = 0  # the network, by number
        self.last_failure = ""
        self._hal, self._settings, self._outbox = hal, settings, outbox
        self._listener = listener
        self._mqtt = client
        client.owner = self
        self._sock = None
        self._blocked = 0  # bytes that the socket would not take: to be offered again as they are
        self._ticks = 0
        self._since = 0  # of the state
        self._next_dial = hal.ticks()
        self._failures = 0
        self._tried = 0  # networks, in this round
        self._heard = 0
        self._asked = False
        self._listening = False
        self._up_since = 0
        self._probe = None  # a socket to the preferred network
        self._probe_since = 0
        self._base = "%s/v1/%s/" % (settings.prefix, settings.device)
        self._writer = frame.Writer(200)

    # -- the life of a connection ------------------------------------------

    def turn(self, ticks):
        """One look at everything; never waits."""
        self._ticks = ticks
        try:
            if self.state == DOWN:
                if ticks_diff(ticks, self._next_dial) >= 0:
                    self._dial()
            elif self.state == DIALLING:
                self._look_at_dialling()
            if self.state in (GREETING, UP):
                self._read()
            if self.state == UP:
                self._serve()
            if self.state in (GREETING, UP):
                self._write()
                self._check()
        except (OSError, mqtt.Broken, MemoryError) as error:
            self.drop(str(error) or "out of memory")
        except ValueError as error:  # TLS says so of a certificate it does not like
            self.drop(str(error))

    def hurry(self):
        """An alarm waits: no backoff now."""
        if self.state == DOWN and self._failures:
            self._next_dial = self._hal.ticks()
            self._failures = 1

    def close(self):
        """Say that we go; the rest is for the socket to send."""
        if self.state == UP:
            self._say_presence(False)
            self._mqtt.disconnect()
            try:
                self._write()
            except (OSError, mqtt.Broken):
                pass
        self.drop("closed")

    def sock(self):
        """What to wait for, and whether it is to be written; None if there is nothing."""
        return self._sock

    def wants_to_write(self):
        """Whether bytes wait for the socket."""
        return self.state == DIALLING or self._mqtt.out_end > 0

    def _dial(self):
        networks = self._hal.networks
        for _ in networks:
            network = networks[self.using]
            self._since = self._ticks
            if self.using < len(self._settings.brokers) and network.is_up():
                host, port = self._settings.brokers[self.using]
                self.state = DIALLING
                self._sock = network.dial(host, port)
                return
            self._next_network()
        self._back_off()

    def _next_network(self):
        self.using = (self.using + 1) % max(1, len(self._hal.networks))
        self._tried += 1

    def _look_at_dialling(self):
        if self._is_open(self._sock, self._since):
            self._greet()

    def _is_open(self, sock, since):
        """Whether it has connected; OSError if it never will."""
        events = self._hal.events(sock)
        if events & ~_POLLOUT & ~1:
            raise OSError("refused")
        if events & _POLLOUT:
            return True
        if ticks_diff(self._ticks, since) > self._step_ms():
            raise OSError("no answer")
        return False

    def _step_ms(self):
        return STEP_MS if self.using == 0 and len(self._hal.networks) > 1 else LONG_STEP_MS

    def _greet(self):
        settings = self._settings
        self._sock = self._hal.secure(self._sock, settings)
        self.state, self._since = GREETING, self._ticks
        self._blocked = 0
        self._heard, self._asked = self._ticks, False
        self._listening = False
        self._mqtt.restart(self._ticks)
        self._mqtt.connect(
            settings.device,
            settings.device,
            settings.password,
            KEEPALIVE_S,
            self._base + "up/presence",
            bytes(self._presence(False)),
        )

    def _check(self):
        """Is it still there?"""
        ticks = self._ticks
        if self.state == GREETING:
            if ticks_diff(ticks, self._since) > self._step_ms():
                raise mqtt.Broken("no CONNACK")
            return
        silent = ticks_diff(ticks, self._heard)
        metered = self.using > 0 or len(self._hal.networks) < 2
        quiet = LONG_QUIET_MS if metered else QUIET_MS
        if silent > quiet + ANSWER_MS:
            raise mqtt.Broken("no PINGRESP")
        if silent > quiet and not self._asked:
            self._asked = True
            self._mqtt.ping()
        if self._mqtt.is_ignored(ticks):
            raise mqtt.Broken("no PUBACK")
        if not self._listening and ticks_diff(ticks, self._up_since) > LONG_STEP_MS:
            raise mqtt.Broken("no SUBACK")

    def drop(self, why):
        """This connection is of no use any more: the next network, or a wait."""
        was = self.state
        self._close_probe()
        if self._sock is not None:
            try:
                self._sock.close()
            except OSError:
                pass
        self._sock = None
        self.state = DOWN
        if was == UP:
            self._hal.say("link_down", net=self.using, why=why)
            self._tried = 0
            self._listener.on_down()
            if ticks_diff(self._ticks, self._up_since) > TRY_PREFERRED_MS:
                self._failures = 0
        if why != self.last_failure and was != UP:
            self._hal.say("link_failed", net=self.using, why=why)  # once for each reason
        self.last_failure = why
        self._next_network()
        if self._tried >= len(self._hal.networks):
            self._back_off()
        else:
            self._next_dial = self._ticks

    def _back_off(self):
        """All have failed: wait a random time, the longer the more often."""
        self._tried = 0
        self.using = 0
        longest = LAST_BACKOFF_MS
        if self._outbox.alarms_waiting():
            longest = URGENT_BACKOFF_MS
        longest = min(longest, FIRST_BACKOFF_MS << min(6, self._failures))
        self._failures += 1
        self._next_dial = ticks_add(self._ticks, self._hal.random(longest))

    # -- bytes -------------------------------------------------------------

    def _read(self):
        while True:
            room = self._mqtt.room()
            count = self._sock.readinto(room)
            if count is None:
                return
            if count == 0:
                raise mqtt.Broken("closed by the broker")
            self._heard, self._asked = self._ticks, False
            self._mqtt.took(count, self._ticks)
            if count < len(room):
                return

    def _write(self):
        client = self._mqtt
        while client.out_end:
            count = self._blocked or client.out_end
            taken = self._sock.write(memoryview(client.out)[:count])
            if not taken:
                self._blocked = count  # TLS wants the same bytes again
                return
            self._blocked = 0
            client.sent(taken)

    # -- what goes out -----------------------------------------------------

    def _serve(self):
        ticks, outbox = self._ticks, self._outbox
        while True:
            slot = outbox.next(ticks, self._mqtt.room_in_flight())
            if slot < 0:
                break
            payload = outbox.payload(slot)
            if payload is None:
                outbox.give_up(slot)
                continue
            channel = "up/reply" if outbox.about(slot) & 1 else "up/alarm"
            if not self._mqtt.publish(self._base + channel, payload, 1, False, ticks, slot):
                break
            outbox.sent(slot, ticks)
        if self.using > 0:
            self._try_preferred()

    def is_up(self):
        """Whether the broker has let us in."""
        return self.state == UP

    def publish_status(self, payload):
        """A status, at QoS 0: whether it could be handed over."""
        if self.state != UP:
            return False
        return self._mqtt.publish(self._base + "up/status", payload, 0, False, self._ticks)

    def _say_presence(self, online):
        payload = self._presence(online)
        self._mqtt.publish(self._base + "up/presence", payload, 1, True, self._ticks, _PRESENCE)

    def _presence(self, online):
        settings = self._settings
        keys = {"online": online, "boot": self._outbox.book.boot, "kind": "alarm_box"}
        if online:
            keys["fw"] = settings.firmware
            keys["caps"] = settings.caps
            keys["t"] = self._listener.unix_ms()
        self._writer.clear()
        frame.message(self._writer, keys)
        return memoryview(self._writer.buf)[: self._writer.at]

    # -- what comes in -----------------------------------------------------

    def on_connack(self):
        """The broker lets us in."""
        self.state, self._up_since = UP, self._ticks
        self._failures = self._tried = 0
        self._probe_since = self._ticks
        self._mqtt.subscribe(self._base + "dn/#")
        self._outbox.all_due(self._ticks)
        self._serve()  # an alarm goes before our presence
        self._say_presence(True)
        self._hal.say("link_up", net=self.using)
        self._listener.on_up()

    def on_suback(self):
        """We hear what the gateway says."""
        self._listening = True

    def on_puback(self, slot):
        """The broker has a message."""
        if slot != _PRESENCE and self._outbox.state(slot):
            self._listener.on_out(self._outbox.boot(slot), self._outbox.seq(slot))

    def on_pong(self):
        """It is there."""

    def on_message(self, topic, payload):
        """The gateway speaks."""
        self._listener.on_message(topic.split(b"/")[-1], payload)

    # -- back to the preferred network --------------------------------------

    def _try_preferred(self):
        if self._probe is not None:
            try:
                if not self._is_open(self._probe, self._probe_since):
                    return
            except OSError:
                self._close_probe()
                return
            if self._outbox.alarms_waiting():
                return
            probe, self._probe = self._probe, None
            self._mqtt.disconnect()
            self._write()
            self.drop("the preferred network is back")
            self._sock, self.using, self.state = probe, 0, DIALLING
            self._since, self._tried = self._ticks, 0
        elif ticks_diff(self._ticks, self._probe_since) > TRY_PREFERRED_MS:
            self._probe_since = self._ticks
            network = self._hal.networks[0]
            if network.is_up():
                try:
                    self._probe = network.dial(*self._settings.brokers[0])
                except OSError:
                    self._probe = None

    def _close_probe(self):
        if self._probe is not None:
            self._probe.close()
            self._probe = None

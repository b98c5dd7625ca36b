"""What was the box told when it was set up, and what may the gateway change?

Settings come in a JSON file that the box is provisioned with; a copy is kept in the journal, so
that a broken file does not cost the address of the broker. A key that makes no sense keeps its
default: whatever is wrong here, the button works.
"""

import json

from . import frame

VERSION = 1
"""Of the program: grows with each release, and an update has to be newer."""

FIRMWARE = "alarm-box-%d" % VERSION
CAPS = ["identify", "ring_back", "config", "reboot", "update"]

KEPT_PROVISION = 1
KEPT_CONFIG = 2
KEPT_REBOOT = 3
KEPT_UPDATE = 4
"""Keys in the journal."""

# What dn/config and the command `config` may change, and within which bounds.
CHANGEABLE = {
    "status_every_s": (5, 86_400),
    "test_every_s": (30, 432_000),
}


class Settings:
    """The settings in force."""

    program_version = VERSION
    firmware = FIRMWARE
    caps = CAPS

    def __init__(self):
        self.device = ""
        self.password = ""
        self.prefix = "field"
        self.brokers = []  # (host, port) by network
        self.tls = None  # paths of ca, cert, key, and the broker's name
        self.zone = b""  # a pair for frame.alarm()
        self.boot_above = 0
        self.status_every_s = 45  # gateways take who is silent for 60 s for lost
        self.test_every_s = 86_400
        self.update_key = 0  # RSA modulus
        self.version = None  # of the gateway's configuration

    def provision(self, data):
        """Take the JSON that the box was set up with; whether it can reach a broker by it."""
        try:
            keys = json.loads(data)
            brokers = [_address(text) for text in keys["brokers"]]
            device = keys["device"]
            if not brokers or not isinstance(device, str) or not device:
                return False
        except (ValueError, KeyError, TypeError, AttributeError):
            return False
        self.device, self.brokers = device, brokers
        self.password = _text(keys.get("password"), "")
        self.prefix = _text(keys.get("prefix"), "field")
        tls = keys.get("tls")
        self.tls = tls if isinstance(tls, dict) else None
        zone = _text(keys.get("zone"), "")
        self.zone = frame.pair("zone", zone) if 0 < len(zone.encode()) <= 32 else b""
        if frame.number(keys.get("boot_above")):
            self.boot_above = min(keys["boot_above"], 1 << 31)
        try:
            self.update_key = int(_text(keys.get("update_key"), "0"), 16)
        except ValueError:
            self.update_key = 0
        self.change(keys)
        return True

    def change(self, keys):
        """Take what may be changed; the name of the first key that was refused, or None."""
        refused = None
        for key, (least, most) in CHANGEABLE.items():
            if key not in keys:
                continue
            value = keys[key]
            if frame.number(value, least) and value <= most:
                setattr(self, key, value)
            else:
                refused = refused or key
        version = keys.get("version")
        if frame.number(version) or (isinstance(version, str) and len(version) <= 64):
            self.version = version
        return refused


def _text(value, otherwise):
    return value if isinstance(value, str) else otherwise


def _address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)

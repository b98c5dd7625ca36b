"""How does the contract look as AsyncAPI? Prints docs/asyncapi.yaml, made from the code:

.venv/bin/python scripts/asyncapi.py > docs/asyncapi.yaml
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib import metadata
from typing import Any

import msgspec
import yaml
from msgspec import Struct

from gateway.api.event_socket import QUIET_S
from gateway.api.live import End, FrameView, Silence
from gateway.api.schemas import as_json_schema
from gateway.feeds.stream import HEARTBEAT_S
from gateway.journal.base import FED_TYPES, EventType, StageChange
from gateway.unit import ContradictionKind
from protocols.cloudevents import CloudEvent, event_type
from protocols.commands import ACTIONS, CommandState
from protocols.duty import UnitState
from protocols.meanings import MEANINGS
from protocols.model import (
    Alarm,
    Command,
    DutyReport,
    Fix,
    MediaChunk,
    Presence,
    Receipt,
    Reply,
    Stage,
    Status,
)
from protocols.native.codec import TYPES
from protocols.native.topics import DEFAULT_PREFIX, LANES, Down, Up

Json = dict[str, Any]

DOWN_TYPES: dict[Down, type[Struct]] = {Down.RECEIPT: Receipt, Down.CMD: Command}

# QoS and retain of each channel, and what else is to be said of it (contract section 1).
UP_BINDINGS: dict[Up, tuple[int, bool, str]] = {
    Up.PRESENCE: (1, True, "Also the last will, with `online` false and the session's boot."),
    Up.ALARM: (1, False, "A press, a duress, a tamper, a self-test; or, with `of`, more on one."),
    Up.DUTY: (1, False, "A one-key duty report."),
    Up.REPLY: (1, False, "The state of a command."),
    Up.POS: (0, False, "One fix, or an array of up to 200. QoS 0 live, 1 from the spool."),
    Up.STATUS: (0, False, "Health. QoS 0 or 1."),
    Up.MEDIA: (1, False, "A chunk of a picture, at most 8 KiB; one is in flight at a time."),
}
DOWN_BINDINGS: dict[Down, tuple[int, bool, str]] = {
    Down.RECEIPT: (1, False, "What the gateway holds durably, what it misses, alarms' stages."),
    Down.CMD: (1, False, "A command; it expires at the broker when it does."),
    Down.CONFIG: (1, True, "Desired configuration: settings by name, and their `version`."),
}

# Events: whose keys `data` has, and which others.
TEXT, WHOLE, FLAG = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}
ALARM: Json = {
    "pos_sent": {"description": "Its `pos` as sent, where the registered place stands in."}
}
UPDATE: Json = {"alarm": TEXT, "count": WHOLE, "stage": {"enum": [stage.value for stage in Stage]}}
UNIT_STATE: Json = {"enum": [None, *(state.value for state in UnitState)]}
BYTES: Json = {"type": "string", "format": "binary"}
TEXTS: Json = {"type": "array", "items": TEXT}
UNIT: Json = {
    "unit": TEXT,
    "state": UNIT_STATE,
    "was": UNIT_STATE,
    "since": {"type": ["integer", "null"], "description": "ms. When the state began."},
    "incident": {"type": ["string", "null"]},
    "devices": TEXTS,
    "officers": TEXTS,
    "at": {**WHOLE, "description": "ms. When it happened, by the gateway's clock."},
    "by": {**TEXT, "description": "The device that reported, or who of the dispatch core."},
    "released": {"type": "object", "description": "Devices that are units of their own again."},
    "lost": {"type": "object", "description": "Devices that left, and the unit of each now."},
    "taken": {"type": "object", "description": "Devices that came in a conflict, and from where."},
}
CONTRADICTION: Json = {
    "unit": TEXT,
    "kind": {"enum": [kind.value for kind in ContradictionKind]},
    "word": {"enum": ["begun", "ended"]},
    "state": UNIT_STATE,
    "since": {**WHOLE, "description": "ms. Since when it is so, by the gateway's clock."},
    "facts": {"type": "object", "description": "What shows it: place, speed, distance."},
}
FIGURE: Json = {"type": ["number", "null"]}
ARRIVAL: Json = {
    "unit": TEXT,
    "incident": TEXT,
    "cmd": {**TEXT, "description": "The instruction's command."},
    "dispatched": {**WHOLE, "description": "ms. When that was ordered."},
    "at": {**WHOLE, "description": "ms. When the position was taken, by the gateway's clock."},
    "lat": FIGURE,
    "lon": FIGURE,
    "distance_m": FIGURE,
    "acc_m": FIGURE,
    "age_ms": {**WHOLE, "description": "How old the position was when it was looked at."},
}
ORDER: Json = {
    "state": {"enum": [*(state.value for state in CommandState), "step"]},
    "by": TEXT,
    "cause": TEXT,
    "act": {"enum": [*ACTIONS]},
    "args": {"type": "object"},
    "exp": {**WHOLE, "description": "ms. Until when it holds."},
    "group": TEXT,
    "target": {"type": "object"},
    "left_out": {"type": "array", "items": {"type": "object"}},
}
PICTURE: Json = {
    "complete": FLAG,
    "id": TEXT,
    "mime": TEXT,
    "size": WHOLE,
    "requested": {**FLAG, "description": "Whether the device was sent the command `ref`."},
}
SENT: Json = {
    "sent": {**WHOLE, "description": "ms, the device's clock: `t` of the chunk that came first."},
    "began": {**WHOLE, "description": "ms. When it came, by the gateway's clock."},
    "taken_corrected": {**WHOLE, "description": "ms. `taken` by the gateway's clock."},
    "asked": {"type": "object", "description": "The command: `cmd`, `act`, `by`, `t`, `device`."},
    "problems": {**TEXTS, "description": "What its bytes show: see pictures.md."},
}
CUSTODY: Json = {
    "act": {"enum": ["held", "released", "deleted", "abandoned", "damaged", "mended"]},
    "media": {**TEXT, "description": "The picture's SHA-256."},
    "alarm": {**TEXT, "description": "The alarm whose pictures are held or released."},
    "by": TEXT,
    "why": TEXT,
    "note": TEXT,
    "named": {**TEXTS, "description": "Pictures that a held alarm names itself."},
    "record": {"type": "object", "description": "What a deleted picture was, and who sent it."},
}
EVENTS: dict[EventType, tuple[type[Struct] | None, Json, list[str]]] = {
    EventType.POSITION: (Fix, {}, ["boot", "seq", "lat", "lon"]),
    EventType.STATUS: (Status, {}, ["boot", "seq"]),
    EventType.MEDIA: (MediaChunk, {**PICTURE, **SENT}, [*PICTURE]),
    EventType.MEDIA_CUSTODY: (None, CUSTODY, ["act"]),
    EventType.PRESENCE: (Presence, {}, ["online", "boot"]),
    EventType.DUTY: (DutyReport, {}, ["boot", "seq", "act"]),
    EventType.ALARM_RAISED: (Alarm, ALARM, ["kind"]),
    EventType.ALARM_UPDATED: (Alarm, {**ALARM, **UPDATE}, [*UPDATE]),
    EventType.ALARM_STAGE: (StageChange, {"alarm": TEXT}, ["alarm", "stage", "t"]),
    EventType.UNIT_CHANGED: (None, UNIT, ["unit", "state", "was", "devices", "officers", "at"]),
    EventType.COMMAND: (Reply, ORDER, ["cmd", "state"]),
    EventType.UNIT_CONTRADICTION: (None, CONTRADICTION, [*CONTRADICTION]),
    EventType.UNIT_ARRIVAL: (None, ARRIVAL, [*ARRIVAL]),
}
LIVE = {"frame": FrameView, "silence": Silence, "end": End}
API = [{"$ref": "#/servers/api"}]
WS: Json = {"ws": {"method": "GET", "bindingVersion": "0.1.0"}}
LIVE_CHANNEL: Json = {
    "address": "/api/v1/devices/{device}/live",
    "description": "Frame and picture in turn. Its URL takes `fps`, `seconds`, `by`, `ticket`.",
    "parameters": {"device": {"description": "Device id."}},
    "servers": API,
    "messages": {
        f"live-{word}": {"$ref": f"#/components/messages/live-{word}"}
        for word in (*LIVE, "picture")
    },
    "bindings": WS,
}
LIVE_MESSAGES: Json = {
    "live-picture": {"contentType": "image/jpeg", "payload": BYTES},
    **{
        f"live-{word}": {
            "contentType": "application/json",
            "payload": {"$ref": f"#/components/schemas/{kind.__name__}"},
        }
        for word, kind in LIVE.items()
    },
}
ADDED: Json = {
    "received": {**WHOLE, "description": "ms. When it came, by the gateway's clock."},
    "stored": {**WHOLE, "description": "ms. When it was committed."},
    "clock_offset_ms": {
        "type": ["integer", "null"],
        "description": "How far the device's clock is behind the gateway's.",
    },
    "flags": {"type": "array", "items": TEXT, "description": "See contract.md."},
}
DRAWN: Json = {"type": "object", "properties": {"drawn": WHOLE}, "required": ["drawn"]}
MAP_MESSAGES: Json = {
    "map-frame": {
        "contentType": "application/octet-stream",
        "summary": "What has moved, 16 bytes a row: see map.md, What moves.",
        "payload": BYTES,
    },
    "map-text": {
        "contentType": "application/json",
        "summary": "The first words, facts of rows, or an event.",
        "payload": {
            "type": "object",
            "properties": {
                "type": {"enum": ["hello", "facts", "event"]},
                "now": WHOLE,
                "cursor": WHOLE,
                "facts": {"type": "array", "items": {"type": "object", "required": ["i", "id"]}},
                "event": {"$ref": "#/components/schemas/CloudEvent"},
            },
            "required": ["type"],
        },
    },
    "map-drawn": {"contentType": "application/json", "payload": DRAWN},
}
SOCKET_MESSAGES: Json = {
    "socket-text": {
        "contentType": "application/json",
        "summary": "The first word, an event, or that there is none.",
        "payload": {
            "type": "object",
            "properties": {
                "type": {"enum": ["hello", "event", "quiet"]},
                "cursor": WHOLE,
                "event": {"$ref": "#/components/schemas/CloudEvent"},
            },
            "required": ["type"],
        },
    },
}
SOCKET_CHANNEL: Json = {
    "address": "/api/v1/events/socket",
    "description": "A WebSocket. Its URL takes `after` and `types`, as in /openapi.json.",
    "servers": API,
    "messages": {"text": {"$ref": "#/components/messages/socket-text"}},
    "bindings": WS,
}
MAP_CHANNEL: Json = {
    "address": "/api/v1/map/stream",
    "description": "A WebSocket. Its URL takes `after`, as in /openapi.json.",
    "servers": API,
    "messages": {
        name.removeprefix("map-"): {"$ref": f"#/components/messages/{name}"}
        for name in MAP_MESSAGES
    },
    "bindings": WS,
}


def document() -> Json:
    """The whole description."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Fieldgate contract v1",
            "version": metadata.version("fieldgate"),
            "license": {"name": "Apache-2.0"},
            "description": "Made from the code by scripts/asyncapi.py. Payloads are MessagePack"
            " maps, or JSON where the first byte is `{` or `[`. The application described is the"
            " gateway: it receives what is `up` and sends what is `dn`.",
        },
        "servers": {
            "broker": {
                "host": "localhost:1883",
                "protocol": "mqtt",
                "protocolVersion": "5.0",
                "description": "User name and client id are the device id. 3.1.1 works too.",
                "security": [{"$ref": "#/components/securitySchemes/device"}],
            },
            "api": {
                "host": "localhost:8110",
                "protocol": "http",
                "security": [{"$ref": "#/components/securitySchemes/token"}],
            },
        },
        "channels": {
            **_channels("up", Up),
            **_channels("dn", Down),
            "events": _event_channel(),
            "event-socket": SOCKET_CHANNEL,
            "map": MAP_CHANNEL,
            "live": LIVE_CHANNEL,
        },
        "operations": {
            **{f"receive-{each}": _operation("up", each, *UP_BINDINGS[each]) for each in Up},
            **{f"send-{each}": _operation("dn", each, *DOWN_BINDINGS[each]) for each in Down},
            "send-live": {
                "action": "send",
                "channel": {"$ref": "#/channels/live"},
                "summary": "Live pictures, for whom has a dispatcher's token or a ticket.",
            },
            "send-events": {
                "action": "send",
                "channel": {"$ref": "#/channels/events"},
                "summary": "Events as they are committed: `id` is the cursor, `event` the type,"
                f" `data` the CloudEvent. A comment comes every {HEARTBEAT_S:g} s.",
                "bindings": {"http": {"method": "GET", "bindingVersion": "0.3.0"}},
            },
            "send-event-socket": {
                "action": "send",
                "channel": {"$ref": "#/channels/event-socket"},
                "summary": "The same over a WebSocket. `hello` comes first, with the cursor;"
                f" `quiet` every {QUIET_S:g} s. Come again with `after`.",
            },
            "send-map": {
                "action": "send",
                "channel": {"$ref": "#/channels/map"},
                "summary": "All that stands on the map, then once a second what has changed.",
            },
            "receive-map": {
                "action": "receive",
                "channel": {"$ref": "#/channels/map"},
                "summary": "What the page has drawn: two updates at most are on the way to it.",
                "messages": [{"$ref": "#/channels/map/messages/drawn"}],
            },
        },
        "components": {
            "messages": {
                **_messages(),
                **_event_messages(),
                **SOCKET_MESSAGES,
                **MAP_MESSAGES,
                **LIVE_MESSAGES,
            },
            "schemas": _schemas(),
            "securitySchemes": {
                "device": {"type": "userPassword"},
                "token": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _channels(direction: str, channels: Iterable[Up | Down]) -> Json:
    return {
        f"{direction}-{each}": {
            "address": f"{DEFAULT_PREFIX}/v1/{{device}}/{direction}/{each}",
            "parameters": {"device": {"description": "Device id: [A-Za-z0-9][A-Za-z0-9_-]{0,63}"}},
            "servers": [{"$ref": "#/servers/broker"}],
            "messages": {each.value: {"$ref": f"#/components/messages/{each}"}},
        }
        for each in channels
    }


def _event_channel() -> Json:
    messages = {f"event-{kind.feed_name.replace('.', '-')}" for kind in FED_TYPES}
    return {
        "address": "/api/v1/events/stream",
        "description": "Its URL takes `after` and `types`, as in /openapi.json.",
        "servers": API,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in sorted(messages)},
    }


def _operation(direction: str, channel: Up | Down, qos: int, retain: bool, about: str) -> Json:
    lane = LANES.get(channel) if isinstance(channel, Up) else None
    mqtt = {"qos": qos, "retain": retain, "bindingVersion": "0.2.0"}
    return {
        "action": "receive" if direction == "up" else "send",
        "channel": {"$ref": f"#/channels/{direction}-{channel}"},
        "summary": about + (f" Lane: {lane.name.lower()}." if lane else ""),
        "bindings": {"mqtt": mqtt},
    }


def _messages() -> Json:
    payloads: Json = {
        each.value: {"$ref": f"#/components/schemas/{kind.__name__}"}
        for each, kind in (*TYPES.items(), *DOWN_TYPES.items())
    }
    one_fix = payloads[Up.POS]
    payloads[Up.POS.value] = {
        "oneOf": [one_fix, {"type": "array", "items": one_fix, "maxItems": 200}]
    }
    payloads[Down.CONFIG.value] = {"type": "object"}
    return {
        name: {"contentType": "application/msgpack", "payload": payload}
        for name, payload in payloads.items()
    }


def _event_messages() -> Json:
    messages = {}
    for kind in sorted(FED_TYPES):
        name = kind.feed_name.replace(".", "-")
        is_type = {"type": {"const": event_type(kind.feed_name)}}
        data = {"data": {"$ref": f"#/components/schemas/{_data_name(kind)}"}}
        messages[f"event-{name}"] = {
            "contentType": "application/cloudevents+json",
            "payload": {
                "allOf": [
                    {"$ref": "#/components/schemas/CloudEvent"},
                    {"properties": {**is_type, **data}},
                ]
            },
        }
    return messages


def _schemas() -> Json:
    """As msgspec gives them, with the meaning of each key; and those of the events' data."""
    _, schemas = msgspec.json.schema_components(
        [*TYPES.values(), *DOWN_TYPES.values(), CloudEvent, StageChange, FrameView, Silence, End],
        schema_hook=lambda _: {"description": "Anything."},  # a command's arguments
        ref_template="#/components/schemas/{name}",
    )
    for kind, keys in MEANINGS.items():
        properties = schemas[kind.__name__].get("properties", {})  # an array has none
        for name, key in keys.items():
            if name in properties:
                unit = f"{key.unit}. " if key.unit else ""
                properties[name]["description"] = f"{unit}{key.meaning}."
    for event in sorted(FED_TYPES):
        schemas[_data_name(event)] = _data(event, schemas)
    plain: Json = as_json_schema(schemas)
    return plain


def _data_name(kind: EventType) -> str:
    return "".join(word.capitalize() for word in kind.feed_name.split(".")) + "Data"


def _data(kind: EventType, schemas: Json) -> Json:
    """An event's data: keys as the device sent them, so of a salvaged alarm not all, and a
    position of any shape; a number that JSON cannot hold is null."""
    struct, more, required = EVENTS[kind]
    properties = dict(schemas[struct.__name__]["properties"]) if struct else {}
    for figure in ("alt", "rssi", "temp", "spd", "hdg", "acc", "hdop"):
        properties.pop(figure, None)
    if struct is Alarm:
        properties["pos"] = {"description": "Where; as it was sent, even if it is no position."}
    if struct is MediaChunk:
        told = ("taken", "w", "h", "reason", "ref", "fps", "quality", "limited")
        properties = {name: properties[name] for name in told}
    return {
        "title": _data_name(kind),
        "type": "object",
        "properties": {**properties, **more, **ADDED},
        "required": [*required, *ADDED],
    }


class _Dumper(yaml.SafeDumper):
    """No anchors: a reader of the page should not have to follow them."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


if __name__ == "__main__":
    plain = msgspec.to_builtins(document())
    yaml.dump(plain, sys.stdout, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)

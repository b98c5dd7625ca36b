-- The journal beside the daily telemetry files: alarms, life cycles, and what readers have got.
CREATE TABLE event (
    cursor INTEGER PRIMARY KEY,
    type   INTEGER NOT NULL,
    id     TEXT    NOT NULL UNIQUE,
    device TEXT    NOT NULL,
    body   BLOB    NOT NULL          -- MessagePack of base.Event
);
CREATE TABLE alarm (
    id     TEXT    PRIMARY KEY,
    cursor INTEGER NOT NULL,         -- of its raising
    device TEXT    NOT NULL,
    stage  TEXT    NOT NULL,
    body   BLOB    NOT NULL          -- MessagePack of base.AlarmRecord
);
CREATE INDEX alarm_cursor ON alarm (cursor);
CREATE INDEX alarm_open ON alarm (cursor) WHERE stage <> 'closed';
CREATE TABLE quarantine (
    no       INTEGER PRIMARY KEY AUTOINCREMENT,
    device   TEXT    NOT NULL,
    topic    TEXT    NOT NULL,
    reason   TEXT    NOT NULL,
    detail   TEXT    NOT NULL,
    digest   BLOB    NOT NULL,       -- of topic, reason and payload
    payload  BLOB    NOT NULL,
    count    INTEGER NOT NULL,
    first_ms INTEGER NOT NULL,
    last_ms  INTEGER NOT NULL
);
CREATE INDEX quarantine_digest ON quarantine (digest);
CREATE TABLE device (                -- short numbers for the daily files
    no INTEGER PRIMARY KEY,
    id TEXT    NOT NULL UNIQUE
);
CREATE TABLE state (                 -- what was known of each device at the checkpoint
    device TEXT PRIMARY KEY,
    body   BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE feed (
    name   TEXT    PRIMARY KEY,
    cursor INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE day (                   -- the daily telemetry files, by their first cursor
    first INTEGER PRIMARY KEY,
    name  TEXT    NOT NULL UNIQUE
);
CREATE TABLE meta (
    key   TEXT    PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;

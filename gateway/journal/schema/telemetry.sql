-- One day of telemetry, append only.
CREATE TABLE block (
    first INTEGER PRIMARY KEY,       -- cursor of its first event
    last  INTEGER NOT NULL,          -- cursor of its last event
    since INTEGER NOT NULL,          -- earliest and latest device time of its positions (ms),
    until INTEGER NOT NULL,          -- since > until where it has none
    body  BLOB    NOT NULL           -- see blocks.py
);

-- Which blocks hold a time: those of seconds by their beginnings, the few others by their ends.
-- Files of before have neither; to give a full one its indexes would hold up the start.
CREATE INDEX block_narrow ON block (since, until, last) WHERE until - since <= 600000;
CREATE INDEX block_wide ON block (until, since, last) WHERE until - since > 600000;

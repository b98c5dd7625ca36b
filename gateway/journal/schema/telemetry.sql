-- One day of telemetry, append only.
CREATE TABLE IF NOT EXISTS block (
    first INTEGER PRIMARY KEY,       -- cursor of its first event
    last  INTEGER NOT NULL,          -- cursor of its last event
    since INTEGER NOT NULL,          -- earliest and latest device time of its positions (ms),
    until INTEGER NOT NULL,          -- since > until where it has none
    body  BLOB    NOT NULL           -- see blocks.py
);

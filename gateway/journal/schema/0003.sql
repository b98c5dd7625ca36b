-- Commands to devices. The events that tell of them are beside those of alarms.
CREATE TABLE command (
    id     TEXT    PRIMARY KEY,
    cursor INTEGER NOT NULL,         -- of its creation
    device TEXT    NOT NULL,
    state  TEXT    NOT NULL,
    batch  TEXT,                     -- of those that were ordered together
    body   BLOB    NOT NULL,         -- MessagePack of base.CommandRecord
    crc    INTEGER                   -- of id and body
);
CREATE INDEX command_cursor ON command (cursor);
CREATE INDEX command_device ON command (device, cursor);
CREATE INDEX command_batch ON command (batch) WHERE batch IS NOT NULL;
CREATE INDEX command_waiting ON command (cursor) WHERE state IN ('created', 'sent');

ALTER TABLE chunk ADD COLUMN received INTEGER NOT NULL DEFAULT 0;  -- ms

-- That a device has sent a picture: once for each reason, reference and time.
CREATE TABLE sending (
    no       INTEGER PRIMARY KEY AUTOINCREMENT,
    picture  TEXT    NOT NULL,
    device   TEXT    NOT NULL,
    named    INTEGER NOT NULL,       -- whether chunk 0 has come, which says the next five
    reason   TEXT,
    ref      TEXT,
    taken    INTEGER,                -- ms, by the device's clock
    w        INTEGER,
    h        INTEGER,
    sent     INTEGER,                -- ms, by the device's clock: of the chunk that came first
    began    INTEGER,                -- ms: when it came
    clock_offset_ms INTEGER,
    received INTEGER,                -- ms: when the last one had; NULL until it is whole
    fed      INTEGER NOT NULL DEFAULT 0,
    gone     INTEGER NOT NULL DEFAULT 0  -- the picture was deleted since
);
CREATE UNIQUE INDEX sending_of ON sending
    (picture, device, coalesce(reason, ''), coalesce(ref, ''), coalesce(taken, -1)) WHERE gone = 0;
CREATE INDEX sending_by_picture ON sending (picture, device, no);
CREATE INDEX sending_by_device ON sending (device, no);
CREATE INDEX sending_by_ref ON sending (ref, no) WHERE ref IS NOT NULL;

-- A whole picture, once however many have sent it. Its row stays when it is deleted.
CREATE TABLE original (
    id        TEXT    NOT NULL PRIMARY KEY,
    size      INTEGER NOT NULL,
    found     BLOB,                  -- JSON: what its bytes are
    worth     INTEGER NOT NULL,      -- of the best of its reasons
    since     INTEGER NOT NULL,      -- ms: newest arrival
    thumbnail TEXT,                  -- SHA-256; '' none can be made, NULL none was tried
    extra     INTEGER NOT NULL DEFAULT 0,  -- bytes of the thumbnail
    damaged   INTEGER,               -- ms: when it was seen to have changed
    deleted   BLOB,                  -- JSON: when, by whom and why
    unlinked  INTEGER NOT NULL DEFAULT 0   -- its files are gone, and the journal says so
) WITHOUT ROWID;
CREATE INDEX original_by_worth ON original (worth, since) WHERE deleted IS NULL;
CREATE INDEX original_to_unlink ON original (id) WHERE deleted IS NOT NULL AND unlinked = 0;
CREATE INDEX original_to_show ON original (id) WHERE deleted IS NULL AND thumbnail IS NULL;

CREATE TABLE hold (
    scope    TEXT    NOT NULL,       -- media, alarm
    id       TEXT    NOT NULL,
    t        INTEGER NOT NULL,
    by       TEXT    NOT NULL,
    note     TEXT,
    media    TEXT    NOT NULL,       -- JSON: pictures that the alarm names
    told     INTEGER NOT NULL DEFAULT 0,   -- the journal has it
    released BLOB,                   -- JSON: when and by whom; it goes once the journal has that
    PRIMARY KEY (scope, id)
) WITHOUT ROWID;

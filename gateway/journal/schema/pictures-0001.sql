CREATE TABLE IF NOT EXISTS picture (
    device TEXT    NOT NULL,
    id     TEXT    NOT NULL,         -- SHA-256 of the whole, hex
    mime   TEXT    NOT NULL,
    size   INTEGER NOT NULL,
    of     INTEGER NOT NULL,         -- chunks
    state  TEXT    NOT NULL,         -- partial, complete, corrupt, aside, deleted
    about  BLOB    NOT NULL,         -- MessagePack: what chunk 0 says
    PRIMARY KEY (id, device)         -- nobody can spoil what another one sends
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS chunk (
    picture TEXT    NOT NULL,
    device  TEXT    NOT NULL,
    n       INTEGER NOT NULL,
    data    BLOB    NOT NULL,
    PRIMARY KEY (picture, device, n)
);

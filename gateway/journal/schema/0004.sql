-- Units: each crew with its devices as it is now, changed with the duty report that changes it.
CREATE TABLE unit (
    id   TEXT    PRIMARY KEY,
    body BLOB    NOT NULL,           -- MessagePack of base.UnitRecord
    crc  INTEGER NOT NULL            -- of id and body
) WITHOUT ROWID;

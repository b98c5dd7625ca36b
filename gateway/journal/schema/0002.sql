-- Checksums of rows (damage.py): a bit that flips on the disk is found. None in rows of before.
ALTER TABLE event ADD COLUMN crc INTEGER;  -- of cursor, id and body
ALTER TABLE alarm ADD COLUMN crc INTEGER;  -- of id and body
ALTER TABLE state ADD COLUMN crc INTEGER;  -- of device and body

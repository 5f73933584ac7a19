-- To find a key SQLite reads all of each row that it compares with it, so a value of more than 4,096 bytes is not in its row.

CREATE TABLE large_value (
  id INTEGER PRIMARY KEY,
  value BLOB NOT NULL
) STRICT;

CREATE TABLE new_entry (
  namespace TEXT NOT NULL,
  key BLOB NOT NULL,
  expires_at_ms INTEGER, -- milliseconds since 1970; NULL = never
  value BLOB, -- NULL = large_value_id says where it is
  large_value_id INTEGER,
  PRIMARY KEY (namespace, key),
  CHECK ((value IS NULL) = (large_value_id IS NOT NULL))
) STRICT, WITHOUT ROWID;

INSERT INTO large_value (id, value)
  SELECT row_number() OVER (ORDER BY namespace, key), value FROM entry WHERE length(value) > 4096;
INSERT INTO new_entry (namespace, key, expires_at_ms, value, large_value_id)
  SELECT namespace, key, expires_at_ms, value, NULL FROM entry WHERE length(value) <= 4096;
INSERT INTO new_entry (namespace, key, expires_at_ms, value, large_value_id)
  SELECT namespace, key, expires_at_ms, NULL, row_number() OVER (ORDER BY namespace, key)
  FROM entry WHERE length(value) > 4096;

DROP TABLE entry;
ALTER TABLE new_entry RENAME TO entry;
CREATE INDEX entry_by_expiry ON entry (expires_at_ms) WHERE expires_at_ms IS NOT NULL;

-- What an entry held goes with it, or when it holds something else.
CREATE TRIGGER entry_deleted AFTER DELETE ON entry WHEN old.large_value_id IS NOT NULL BEGIN
  DELETE FROM large_value WHERE id = old.large_value_id;
END;
CREATE TRIGGER entry_updated AFTER UPDATE ON entry WHEN old.large_value_id IS NOT NULL BEGIN
  DELETE FROM large_value WHERE id = old.large_value_id;
END;

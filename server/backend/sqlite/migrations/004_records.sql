-- The items of records. A value of more than 4,096 bytes is in large_value, as those of entries are.

CREATE TABLE record_item (
  namespace TEXT NOT NULL,
  id BLOB NOT NULL,
  key BLOB NOT NULL,
  created_at_ms INTEGER NOT NULL, -- milliseconds since 1970
  updated_at_ms INTEGER NOT NULL,
  expires_at_ms INTEGER, -- NULL = never
  metadata BLOB NOT NULL,
  value BLOB, -- NULL = large_value_id says where it is
  large_value_id INTEGER,
  PRIMARY KEY (namespace, id, key),
  CHECK ((value IS NULL) = (large_value_id IS NOT NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX record_item_by_expiry ON record_item (expires_at_ms) WHERE expires_at_ms IS NOT NULL;

-- What an item held goes with it, or when it holds something else.
CREATE TRIGGER record_item_deleted AFTER DELETE ON record_item WHEN old.large_value_id IS NOT NULL BEGIN
  DELETE FROM large_value WHERE id = old.large_value_id;
END;
CREATE TRIGGER record_item_updated AFTER UPDATE ON record_item WHEN old.large_value_id IS NOT NULL BEGIN
  DELETE FROM large_value WHERE id = old.large_value_id;
END;

-- Keys are BLOBs: they are ordered by their bytes and may hold NUL.

CREATE TABLE entry (
  namespace TEXT NOT NULL,
  key BLOB NOT NULL,
  value BLOB NOT NULL,
  expires_at_ms INTEGER, -- milliseconds since 1970; NULL = never
  PRIMARY KEY (namespace, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX entry_by_expiry ON entry (expires_at_ms) WHERE expires_at_ms IS NOT NULL;

-- A list holds the positions head, head + 1, ... tail - 1, never none. A push on the left takes head below zero.
CREATE TABLE list (
  id INTEGER PRIMARY KEY,
  namespace TEXT NOT NULL,
  key BLOB NOT NULL,
  head INTEGER NOT NULL,
  tail INTEGER NOT NULL,
  UNIQUE (namespace, key)
) STRICT;

CREATE TABLE list_item (
  list_id INTEGER NOT NULL,
  position INTEGER NOT NULL,
  value BLOB NOT NULL,
  PRIMARY KEY (list_id, position)
) STRICT, WITHOUT ROWID;

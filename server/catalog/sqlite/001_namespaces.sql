-- The namespaces that were made at run time. document: JSON; catalog/document.ts has its schema.
CREATE TABLE namespace (
  name TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  document TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row: the last version that was given to any of them.
CREATE TABLE last_version (version INTEGER NOT NULL) STRICT;
INSERT INTO last_version VALUES (0);

-- Each write gives its entry a version. Entries from before have version 1.

ALTER TABLE entry ADD COLUMN version INTEGER NOT NULL DEFAULT 1;

-- One row. Every version that was given to an entry is at most `noted`.
CREATE TABLE entry_version (
  noted INTEGER NOT NULL
) STRICT;
INSERT INTO entry_version (noted) VALUES (1);

-- An update can keep the large value that the entry holds.
DROP TRIGGER entry_updated;
CREATE TRIGGER entry_updated AFTER UPDATE OF large_value_id ON entry
WHEN old.large_value_id IS NOT NULL AND old.large_value_id IS NOT new.large_value_id BEGIN
  DELETE FROM large_value WHERE id = old.large_value_id;
END;

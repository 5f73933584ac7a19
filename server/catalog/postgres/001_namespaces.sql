-- The namespaces that were made at run time. document: JSON; catalog/document.ts has its schema.
CREATE TABLE namespace (
  name TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  document TEXT NOT NULL
);

-- One row: the last version that was given to any of them. Every change locks it, so changes have an order.
CREATE TABLE catalog (revision BIGINT NOT NULL);
INSERT INTO catalog VALUES (0);

-- The items of records. Ids are BYTEA, as keys are, because text cannot hold NUL.

CREATE TABLE record_item (
  namespace TEXT COLLATE "C" NOT NULL,
  id BYTEA NOT NULL,
  key BYTEA NOT NULL,
  value BYTEA NOT NULL,
  metadata BYTEA NOT NULL,
  created_at TIMESTAMPTZ NOT NULL, -- times are by this server's clock, in whole milliseconds
  updated_at TIMESTAMPTZ NOT NULL,
  expires_at TIMESTAMPTZ, -- NULL = never
  PRIMARY KEY (namespace, id, key)
);

CREATE INDEX record_item_by_expiry ON record_item (expires_at) WHERE expires_at IS NOT NULL;

-- Compares and swaps items, in their order: each swap sees the earlier ones. They come in the order
-- of ids and keys, so that no two calls wait for each other.
-- in: the time; for each swap its id, its key, the expected value (NULL = no item) and the new value.
-- out: whether it was swapped; if not, the value that is there (NULL = none).
CREATE FUNCTION record_swap(
  in_namespace TEXT, in_now TIMESTAMPTZ, in_ids BYTEA[], in_keys BYTEA[], in_expected BYTEA[], in_values BYTEA[],
  OUT swapped BOOLEAN, OUT actual BYTEA
)
RETURNS SETOF RECORD LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  FOR i IN 1 .. cardinality(in_ids) LOOP
    LOOP
      actual := NULL;
      IF in_expected[i] IS NULL THEN
        INSERT INTO record_item AS r (namespace, id, key, value, metadata, created_at, updated_at)
          VALUES (in_namespace, in_ids[i], in_keys[i], in_values[i], '', in_now, in_now)
          ON CONFLICT (namespace, id, key) DO UPDATE
            SET value = excluded.value, metadata = '', created_at = in_now, updated_at = in_now, expires_at = NULL
            WHERE r.expires_at <= in_now;
      ELSE
        UPDATE record_item AS r
          SET value = in_values[i], updated_at = in_now, expires_at = in_now + (r.expires_at - r.updated_at)
          WHERE r.namespace = in_namespace AND r.id = in_ids[i] AND r.key = in_keys[i]
            AND r.value = in_expected[i] AND (r.expires_at IS NULL OR r.expires_at > in_now);
      END IF;
      swapped := FOUND;
      IF NOT swapped THEN
        SELECT r.value INTO actual FROM record_item AS r
          WHERE r.namespace = in_namespace AND r.id = in_ids[i] AND r.key = in_keys[i]
            AND (r.expires_at IS NULL OR r.expires_at > in_now);
      END IF;
      -- Others may have written what is expected between the two statements.
      EXIT WHEN swapped OR actual IS DISTINCT FROM in_expected[i];
    END LOOP;
    RETURN NEXT;
  END LOOP;
END $$;

-- Deletes items, in their order, which is that of ids and keys. It looks up each key by itself: one
-- statement for all could read the whole record, because statistics do not tell its size.
-- in: the time; for each delete its id, its key (empty = all items of the record), and then the
-- most items.
-- out: how many it deleted, without expired ones; whether the record may have more.
CREATE FUNCTION record_delete(
  in_namespace TEXT, in_now TIMESTAMPTZ, in_ids BYTEA[], in_keys BYTEA[], in_most INTEGER[],
  OUT deleted INTEGER, OUT more BOOLEAN
)
RETURNS SETOF RECORD LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  last_key BYTEA;
BEGIN
  FOR i IN 1 .. cardinality(in_ids) LOOP
    last_key := in_keys[i];
    more := FALSE;
    IF last_key = '' THEN
      -- Counted before the delete: others may delete some of them meanwhile.
      SELECT (array_agg(key ORDER BY key DESC))[1], count(*) = in_most[i] INTO last_key, more FROM (
        SELECT key FROM record_item WHERE namespace = in_namespace AND id = in_ids[i]
        ORDER BY key LIMIT in_most[i]
      ) AS first;
    END IF;
    WITH gone AS (
      DELETE FROM record_item WHERE namespace = in_namespace AND id = in_ids[i]
        AND key >= in_keys[i] AND key <= last_key
      RETURNING expires_at
    )
    SELECT count(*) FILTER (WHERE expires_at IS NULL OR expires_at > in_now) INTO deleted FROM gone;
    RETURN NEXT;
  END LOOP;
END $$;

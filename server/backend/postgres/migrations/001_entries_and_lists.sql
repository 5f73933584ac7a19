-- Keys are BYTEA: they are ordered by their bytes and may hold NUL, which text cannot.

CREATE TABLE entry (
  namespace TEXT COLLATE "C" NOT NULL,
  key BYTEA NOT NULL,
  value BYTEA NOT NULL,
  expires_at TIMESTAMPTZ, -- by this server's clock; NULL = never
  PRIMARY KEY (namespace, key)
);

CREATE INDEX entry_by_expiry ON entry (expires_at) WHERE expires_at IS NOT NULL;

-- A list holds the positions head, head + 1, ... tail - 1, never none. A push on the left takes head below zero.
-- Its row is what concurrent calls wait at; room in its page lets each change stay there.
CREATE TABLE list (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  namespace TEXT COLLATE "C" NOT NULL,
  key BYTEA NOT NULL,
  head BIGINT NOT NULL DEFAULT 0,
  tail BIGINT NOT NULL DEFAULT 0,
  UNIQUE (namespace, key)
) WITH (fillfactor = 50);

CREATE TABLE list_item (
  list_id BIGINT NOT NULL,
  position BIGINT NOT NULL,
  value BYTEA NOT NULL,
  PRIMARY KEY (list_id, position)
);

-- Functions, because each statement in one sees what was committed before it began: a single statement that waits for a
-- list's row would then look for an item with the eyes that it had before it waited, and not find it.

-- in: keys, whether each goes to the left end, values. out: each list's length after its push, in order.
CREATE FUNCTION list_push(in_namespace TEXT, in_keys BYTEA[], in_left BOOLEAN[], in_values BYTEA[])
RETURNS SETOF BIGINT LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  at_list BIGINT;
  at_position BIGINT;
  new_length BIGINT;
BEGIN
  -- Makes and locks the lists in one order, so that no two calls wait for each other.
  INSERT INTO list AS l (namespace, key)
    SELECT in_namespace, k FROM (SELECT DISTINCT unnest(in_keys) AS k) AS keys ORDER BY k
    ON CONFLICT (namespace, key) DO UPDATE SET head = l.head;
  FOR i IN 1 .. cardinality(in_keys) LOOP
    IF in_left[i] THEN
      UPDATE list SET head = head - 1 WHERE namespace = in_namespace AND key = in_keys[i]
        RETURNING id, head, tail - head INTO at_list, at_position, new_length;
    ELSE
      UPDATE list SET tail = tail + 1 WHERE namespace = in_namespace AND key = in_keys[i]
        RETURNING id, tail - 1, tail - head INTO at_list, at_position, new_length;
    END IF;
    INSERT INTO list_item (list_id, position, value) VALUES (at_list, at_position, in_values[i]);
    RETURN NEXT new_length;
  END LOOP;
END $$;

-- in: keys, whether each takes from the left end. out: the values, in order; NULL where the list is empty.
CREATE FUNCTION list_pop(in_namespace TEXT, in_keys BYTEA[], in_left BOOLEAN[])
RETURNS SETOF BYTEA LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  at_list BIGINT;
  at_position BIGINT;
  new_length BIGINT;
  taken BYTEA;
  locked BIGINT[];
BEGIN
  -- Only what is locked here, in one order, is touched: a list that is made from now on is not there yet.
  SELECT array_agg(id) INTO locked FROM (
    SELECT id FROM list WHERE namespace = in_namespace AND key = ANY (in_keys) ORDER BY key FOR UPDATE
  ) AS found;
  FOR i IN 1 .. cardinality(in_keys) LOOP
    taken := NULL;
    IF in_left[i] THEN
      UPDATE list SET head = head + 1 WHERE namespace = in_namespace AND key = in_keys[i] AND id = ANY (locked)
        RETURNING id, head - 1, tail - head INTO at_list, at_position, new_length;
    ELSE
      UPDATE list SET tail = tail - 1 WHERE namespace = in_namespace AND key = in_keys[i] AND id = ANY (locked)
        RETURNING id, tail, tail - head INTO at_list, at_position, new_length;
    END IF;
    IF FOUND THEN
      DELETE FROM list_item WHERE list_id = at_list AND position = at_position RETURNING value INTO taken;
      IF new_length = 0 THEN
        DELETE FROM list WHERE id = at_list;
      END IF;
    END IF;
    RETURN NEXT taken;
  END LOOP;
END $$;

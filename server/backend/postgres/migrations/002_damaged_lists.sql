-- A list that lacks an item is damaged, not empty. A pop says so and leaves the list as it was.

-- The function of three arguments stays. Gateways of older versions have prepared calls of it, and
-- PostgreSQL refuses a prepared call whose result has changed.

-- in: keys, whether each takes from the left end, whether one damaged list fails the whole call
-- (SQLSTATE data_corrupted).
-- out: the values, in order, NULL where the list is empty; whether the list is damaged.
CREATE FUNCTION list_pop(
  in_namespace TEXT, in_keys BYTEA[], in_left BOOLEAN[], in_whole BOOLEAN,
  OUT taken BYTEA, OUT damaged BOOLEAN
)
RETURNS SETOF RECORD LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  at_list BIGINT;
  at_position BIGINT;
  new_length BIGINT;
  locked BIGINT[];
BEGIN
  -- Changes only lists that are locked here, in one order. A list that is made later is not there
  -- yet for this call.
  SELECT array_agg(id) INTO locked FROM (
    SELECT id FROM list WHERE namespace = in_namespace AND key = ANY (in_keys) ORDER BY key FOR UPDATE
  ) AS found;
  FOR i IN 1 .. cardinality(in_keys) LOOP
    taken := NULL;
    damaged := FALSE;
    IF in_left[i] THEN
      UPDATE list SET head = head + 1 WHERE namespace = in_namespace AND key = in_keys[i] AND id = ANY (locked)
        RETURNING id, head - 1, tail - head INTO at_list, at_position, new_length;
    ELSE
      UPDATE list SET tail = tail - 1 WHERE namespace = in_namespace AND key = in_keys[i] AND id = ANY (locked)
        RETURNING id, tail, tail - head INTO at_list, at_position, new_length;
    END IF;
    IF FOUND THEN
      DELETE FROM list_item WHERE list_id = at_list AND position = at_position RETURNING value INTO taken;
      damaged := NOT FOUND;
      IF damaged AND in_whole THEN
        RAISE EXCEPTION 'a list is damaged' USING ERRCODE = 'data_corrupted';
      ELSIF damaged AND in_left[i] THEN
        UPDATE list SET head = head - 1 WHERE id = at_list;
      ELSIF damaged THEN
        UPDATE list SET tail = tail + 1 WHERE id = at_list;
      ELSIF new_length = 0 THEN
        DELETE FROM list WHERE id = at_list;
      END IF;
    END IF;
    RETURN NEXT;
  END LOOP;
END $$;

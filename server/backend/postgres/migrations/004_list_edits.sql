-- Lists in full: ranges, places and moves. Functions for the same reason as list_push, and with the
-- same order of locks. A list that lacks an item it needs raises data_corrupted, which undoes all.

-- Locks the lists of these keys in one order and answers their ids. Only these may be changed then:
-- a list that is made later is not there yet for the call.
CREATE FUNCTION list_lock(in_namespace TEXT, in_keys BYTEA[])
RETURNS BIGINT[] LANGUAGE sql SET search_path FROM CURRENT AS $$
  SELECT array_agg(id) FROM (
    SELECT id FROM list WHERE namespace = in_namespace AND key = ANY (in_keys) ORDER BY key FOR UPDATE
  ) AS found
$$;

-- Adds in_by to the positions from in_from (included) to in_below (excluded), which are free then.
-- An UPDATE would meet positions that are still taken. Here the sort waits for the last DELETE.
CREATE FUNCTION list_shift(in_list BIGINT, in_from BIGINT, in_below BIGINT, in_by BIGINT)
RETURNS VOID LANGUAGE sql SET search_path FROM CURRENT AS $$
  WITH taken AS (
    DELETE FROM list_item WHERE list_id = in_list AND position >= in_from AND position < in_below
      RETURNING position, value
  )
  INSERT INTO list_item (list_id, position, value)
    SELECT in_list, position + in_by, value FROM taken ORDER BY position
$$;

-- in: keys; ranges as of LTRIM of Redis. out: each list's length then, 0 = it is gone.
CREATE FUNCTION list_trim(in_namespace TEXT, in_keys BYTEA[], in_start BIGINT[], in_stop BIGINT[])
RETURNS SETOF BIGINT LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  locked BIGINT[] := list_lock(in_namespace, in_keys);
  at_list BIGINT;
  at_head BIGINT;
  old_length BIGINT;
  from_place BIGINT;
  end_place BIGINT;
BEGIN
  FOR i IN 1 .. cardinality(in_keys) LOOP
    SELECT id, head, tail - head INTO at_list, at_head, old_length
      FROM list WHERE namespace = in_namespace AND key = in_keys[i] AND id = ANY (locked);
    IF NOT FOUND THEN
      RETURN NEXT 0;
      CONTINUE;
    END IF;
    from_place := greatest(0, CASE WHEN in_start[i] < 0 THEN old_length ELSE 0 END + in_start[i]);
    end_place := least(old_length, CASE WHEN in_stop[i] < 0 THEN old_length ELSE 0 END + in_stop[i] + 1);
    IF from_place >= end_place THEN
      DELETE FROM list_item WHERE list_id = at_list;
      DELETE FROM list WHERE id = at_list;
      RETURN NEXT 0;
      CONTINUE;
    END IF;
    IF from_place > 0 THEN
      DELETE FROM list_item WHERE list_id = at_list AND position < at_head + from_place;
    END IF;
    IF end_place < old_length THEN
      DELETE FROM list_item WHERE list_id = at_list AND position >= at_head + end_place;
    END IF;
    IF end_place - from_place < old_length THEN
      UPDATE list SET head = at_head + from_place, tail = at_head + end_place WHERE id = at_list;
    END IF;
    RETURN NEXT end_place - from_place;
  END LOOP;
END $$;

-- in: keys, places, values. out: 'put', 'absent' = there is no list, 'outside' = there is no such place.
CREATE FUNCTION list_put(in_namespace TEXT, in_keys BYTEA[], in_index BIGINT[], in_values BYTEA[])
RETURNS SETOF TEXT LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  locked BIGINT[] := list_lock(in_namespace, in_keys);
  at_list BIGINT;
  at_position BIGINT;
  is_inside BOOLEAN;
BEGIN
  FOR i IN 1 .. cardinality(in_keys) LOOP
    SELECT id, CASE WHEN in_index[i] < 0 THEN tail ELSE head END + in_index[i], in_index[i] BETWEEN head - tail AND tail - head - 1
      INTO at_list, at_position, is_inside
      FROM list WHERE namespace = in_namespace AND key = in_keys[i] AND id = ANY (locked);
    IF NOT FOUND THEN
      RETURN NEXT 'absent';
    ELSIF NOT is_inside THEN
      RETURN NEXT 'outside';
    ELSE
      UPDATE list_item SET value = in_values[i] WHERE list_id = at_list AND position = at_position;
      IF NOT FOUND THEN
        RAISE EXCEPTION 'a list is damaged' USING ERRCODE = 'data_corrupted';
      END IF;
      RETURN NEXT 'put';
    END IF;
  END LOOP;
END $$;

-- in: keys, whether each goes after its pivot, pivots, values.
-- out: whether the pivot was found; each list's length then, 0 = there is none.
CREATE FUNCTION list_insert(
  in_namespace TEXT, in_keys BYTEA[], in_after BOOLEAN[], in_pivots BYTEA[], in_values BYTEA[],
  OUT inserted BOOLEAN, OUT new_length BIGINT
)
RETURNS SETOF RECORD LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  locked BIGINT[] := list_lock(in_namespace, in_keys);
  at_list BIGINT;
  at_head BIGINT;
  at_tail BIGINT;
  at_position BIGINT;
BEGIN
  FOR i IN 1 .. cardinality(in_keys) LOOP
    inserted := FALSE;
    new_length := 0;
    SELECT id, head, tail, tail - head INTO at_list, at_head, at_tail, new_length
      FROM list WHERE namespace = in_namespace AND key = in_keys[i] AND id = ANY (locked);
    IF FOUND THEN
      SELECT position + in_after[i]::integer INTO at_position
        FROM list_item WHERE list_id = at_list AND value = in_pivots[i] ORDER BY position LIMIT 1;
      inserted := FOUND;
    END IF;
    IF inserted THEN
      -- The shorter side makes room.
      IF at_position - at_head < at_tail - at_position THEN
        PERFORM list_shift(at_list, at_head, at_position, -1);
        UPDATE list SET head = head - 1 WHERE id = at_list;
        at_position := at_position - 1;
      ELSE
        PERFORM list_shift(at_list, at_position, at_tail, 1);
        UPDATE list SET tail = tail + 1 WHERE id = at_list;
      END IF;
      INSERT INTO list_item (list_id, position, value) VALUES (at_list, at_position, in_values[i]);
      new_length := new_length + 1;
    END IF;
    new_length := coalesce(new_length, 0);
    RETURN NEXT;
  END LOOP;
END $$;

-- in: keys, values, counts as of LREM of Redis. out: how many were removed of each list.
CREATE FUNCTION list_remove(in_namespace TEXT, in_keys BYTEA[], in_values BYTEA[], in_count BIGINT[])
RETURNS SETOF BIGINT LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  locked BIGINT[] := list_lock(in_namespace, in_keys);
  at_list BIGINT;
  at_head BIGINT;
  at_tail BIGINT;
  gaps BIGINT[];
  removed BIGINT;
BEGIN
  FOR i IN 1 .. cardinality(in_keys) LOOP
    SELECT id, head, tail INTO at_list, at_head, at_tail
      FROM list WHERE namespace = in_namespace AND key = in_keys[i] AND id = ANY (locked);
    IF NOT FOUND THEN
      RETURN NEXT 0;
      CONTINUE;
    END IF;
    -- A limit of NULL is none.
    IF in_count[i] < 0 THEN
      SELECT array_agg(position ORDER BY position) INTO gaps FROM (
        SELECT position FROM list_item WHERE list_id = at_list AND value = in_values[i]
          ORDER BY position DESC LIMIT -in_count[i]) AS found;
    ELSE
      SELECT array_agg(position ORDER BY position) INTO gaps FROM (
        SELECT position FROM list_item WHERE list_id = at_list AND value = in_values[i]
          ORDER BY position LIMIT nullif(in_count[i], 0)) AS found;
    END IF;
    removed := coalesce(cardinality(gaps), 0);
    IF removed = at_tail - at_head THEN
      DELETE FROM list_item WHERE list_id = at_list;
      DELETE FROM list WHERE id = at_list;
    ELSIF removed > 0 THEN
      DELETE FROM list_item WHERE list_id = at_list AND position = ANY (gaps);
      -- The shorter side closes the gaps.
      IF at_tail - gaps[1] < gaps[removed] - at_head THEN
        WITH taken AS (
          DELETE FROM list_item WHERE list_id = at_list AND position > gaps[1] RETURNING position, value
        )
        INSERT INTO list_item (list_id, position, value)
          SELECT at_list, gaps[1] + row_number() OVER (ORDER BY position) - 1, value FROM taken;
        UPDATE list SET tail = tail - removed WHERE id = at_list;
      ELSE
        WITH taken AS (
          DELETE FROM list_item WHERE list_id = at_list AND position < gaps[removed]
            RETURNING position, value
        )
        INSERT INTO list_item (list_id, position, value)
          SELECT at_list, gaps[removed] - row_number() OVER (ORDER BY position DESC) + 1, value FROM taken;
        UPDATE list SET head = head + removed WHERE id = at_list;
      END IF;
    END IF;
    RETURN NEXT removed;
  END LOOP;
END $$;

-- in: lists to take from and to add to, and whether each of that is at the left end.
-- out: the values, in order; NULL where the first list is empty.
CREATE FUNCTION list_move(
  in_namespace TEXT, in_keys BYTEA[], in_left BOOLEAN[], in_to BYTEA[], in_to_left BOOLEAN[]
)
RETURNS SETOF BYTEA LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  at_list BIGINT;
  at_position BIGINT;
  moved BYTEA;
BEGIN
  -- Those who look at empty lists again and again write nothing.
  IF NOT EXISTS (SELECT FROM list WHERE namespace = in_namespace AND key = ANY (in_keys)) THEN
    RETURN QUERY SELECT NULL::bytea FROM unnest(in_keys);
    RETURN;
  END IF;
  -- Makes and locks all lists in one order. Those that are empty at the end nobody ever sees.
  INSERT INTO list AS l (namespace, key)
    SELECT in_namespace, k FROM (SELECT DISTINCT unnest(in_keys || in_to) AS k) AS keys ORDER BY k
    ON CONFLICT (namespace, key) DO UPDATE SET head = l.head;
  FOR i IN 1 .. cardinality(in_keys) LOOP
    moved := NULL;
    IF in_left[i] THEN
      UPDATE list SET head = head + 1 WHERE namespace = in_namespace AND key = in_keys[i] AND head < tail
        RETURNING id, head - 1 INTO at_list, at_position;
    ELSE
      UPDATE list SET tail = tail - 1 WHERE namespace = in_namespace AND key = in_keys[i] AND head < tail
        RETURNING id, tail INTO at_list, at_position;
    END IF;
    IF FOUND THEN
      DELETE FROM list_item WHERE list_id = at_list AND position = at_position RETURNING value INTO moved;
      IF NOT FOUND THEN
        RAISE EXCEPTION 'a list is damaged' USING ERRCODE = 'data_corrupted';
      END IF;
      IF in_to_left[i] THEN
        UPDATE list SET head = head - 1 WHERE namespace = in_namespace AND key = in_to[i]
          RETURNING id, head INTO at_list, at_position;
      ELSE
        UPDATE list SET tail = tail + 1 WHERE namespace = in_namespace AND key = in_to[i]
          RETURNING id, tail - 1 INTO at_list, at_position;
      END IF;
      INSERT INTO list_item (list_id, position, value) VALUES (at_list, at_position, moved);
    END IF;
    RETURN NEXT moved;
  END LOOP;
  DELETE FROM list WHERE namespace = in_namespace AND key = ANY (in_keys || in_to) AND head = tail;
END $$;

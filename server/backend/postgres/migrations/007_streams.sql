-- Streams of events. Names are BYTEA, as keys are, because text cannot hold NUL. Times are
-- milliseconds since 1970: those of events are their writers', the others are this server's.

-- Its row is what concurrent appends wait at until they commit. So offsets have no gaps: who sees
-- an offset sees every smaller one. Room in its page lets each change stay there.
CREATE TABLE stream (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  namespace TEXT COLLATE "C" NOT NULL,
  name BYTEA, -- NULL = it was deleted, and its events are yet to be removed
  created_at_ms BIGINT NOT NULL,
  retention_ms BIGINT NOT NULL, -- 0 = for ever
  partitions INTEGER NOT NULL DEFAULT 1,
  replication_factor INTEGER NOT NULL DEFAULT 1,
  next_offset BIGINT NOT NULL DEFAULT -1, -- -1 = the row was made only to be locked; nobody sees it
  sweep_at_ms BIGINT, -- no event is to be removed before; NULL = none at all
  UNIQUE (namespace, name)
) WITH (fillfactor = 50);

CREATE INDEX stream_by_sweep ON stream (sweep_at_ms) WHERE sweep_at_ms IS NOT NULL;
CREATE INDEX deleted_stream ON stream (namespace, id) WHERE name IS NULL;

-- A row for each event. There are no partitions by time, because each stream has its own retention,
-- and offsets must be unique over all times.
CREATE TABLE event (
  stream_id BIGINT NOT NULL,
  number BIGINT NOT NULL, -- its offset
  time_ms BIGINT NOT NULL,
  payload BYTEA NOT NULL,
  tags BYTEA[], -- of each tag: the length of its name (four bytes), name and value; NULL = no tags
  PRIMARY KEY (stream_id, number)
);

CREATE INDEX event_by_time ON event (stream_id, time_ms, number);

-- Makes and locks streams in the order of their names, so that no two calls wait for each other. A
-- row that exists is locked and not updated.
-- in: the time; names, each once, ascending. out: the rows, in that order.
CREATE FUNCTION stream_lock(in_namespace TEXT, in_now_ms BIGINT, in_names BYTEA[])
RETURNS SETOF stream LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  INSERT INTO stream AS s (namespace, name, created_at_ms, retention_ms)
    SELECT in_namespace, given.name, in_now_ms, 0 FROM unnest(in_names) AS given (name) ORDER BY given.name
    ON CONFLICT (namespace, name) DO UPDATE SET next_offset = s.next_offset WHERE FALSE;
  -- A statement of its own, because it must see what others wrote while the locks were waited for.
  RETURN QUERY
    SELECT s.* FROM unnest(in_names) WITH ORDINALITY AS given (name, n) CROSS JOIN LATERAL (
      SELECT * FROM stream WHERE namespace = in_namespace AND stream.name = given.name LIMIT 1
    ) AS s
    ORDER BY n;
END $$;

-- Appends events.
-- in: the time; whether each append is for itself, or all are refused with one; the names of all
-- streams, each once, ascending; for each append the number of its stream, how many events it has,
-- the earliest time among them that is not 0, the retention of a stream that it makes, and whether
-- expired events refuse it; for each event the number of its append, its time (0 = now), its
-- payload and its tags (as text of an array, '' = none).
-- out: for each append its first offset, how many of its events are past the retention, and the
-- first of these (from 0) if that refuses it.
CREATE FUNCTION event_append(
  in_namespace TEXT, in_now_ms BIGINT, in_each BOOLEAN, in_names BYTEA[],
  in_stream INTEGER[], in_count INTEGER[], in_earliest_ms BIGINT[], in_retention_ms BIGINT[], in_refuses BOOLEAN[],
  in_append INTEGER[], in_time_ms BIGINT[], in_payload BYTEA[], in_tags TEXT[],
  OUT first_offset BIGINT, OUT expired INTEGER, OUT refused INTEGER
)
RETURNS SETOF RECORD LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  -- Of each stream:
  ids BIGINT[];
  nexts BIGINT[];
  retentions BIGINT[]; -- NULL = no append has made it yet
  sweeps BIGINT[];
  stores BIGINT[]; -- of each append: the id of its stream; NULL = it is refused
  bases BIGINT[]; -- of each append: what the number of an event among all is less than its offset
  done INTEGER := 0;
  refuses BOOLEAN := FALSE;
  s INTEGER;
  retention BIGINT;
BEGIN
  SELECT array_agg(id), array_agg(greatest(next_offset, 0)),
    array_agg(CASE WHEN next_offset >= 0 THEN retention_ms END), array_agg(sweep_at_ms)
    INTO ids, nexts, retentions, sweeps
    FROM stream_lock(in_namespace, in_now_ms, in_names);

  FOR a IN 1 .. cardinality(in_stream) LOOP
    s := in_stream[a];
    retention := coalesce(retentions[s], in_retention_ms[a]);
    first_offset := nexts[s];
    expired := 0;
    refused := NULL;
    IF retention > 0 AND in_earliest_ms[a] <= in_now_ms - retention THEN
      SELECT count(*), min(n) - 1 INTO expired, refused
        FROM unnest(in_time_ms[done + 1 : done + in_count[a]]) WITH ORDINALITY AS given (time_ms, n)
        WHERE time_ms BETWEEN 1 AND in_now_ms - retention;
      IF NOT in_refuses[a] THEN
        refused := NULL;
      END IF;
    END IF;
    IF refused IS NULL THEN
      stores[a] := ids[s];
      bases[a] := first_offset - done - 1;
      nexts[s] := first_offset + in_count[a];
      retentions[s] := retention;
      IF retention > 0 THEN
        sweeps[s] := least(sweeps[s], least(in_earliest_ms[a], in_now_ms) + retention);
      END IF;
    ELSE
      refuses := TRUE;
    END IF;
    done := done + in_count[a];
    RETURN NEXT;
  END LOOP;

  IF in_each OR NOT refuses THEN
    INSERT INTO event (stream_id, number, time_ms, payload, tags)
      SELECT stores[append], bases[append] + n, CASE WHEN time_ms = 0 THEN in_now_ms ELSE time_ms END,
        payload, nullif(tags, '')::bytea[]
      FROM unnest(in_append, in_time_ms, in_payload, in_tags)
        WITH ORDINALITY AS given (append, time_ms, payload, tags, n)
      WHERE stores[append] IS NOT NULL;
    UPDATE stream
      SET next_offset = given.next, retention_ms = given.retention, sweep_at_ms = given.sweep
      FROM unnest(ids, nexts, retentions, sweeps) AS given (id, next, retention, sweep)
      WHERE stream.id = given.id AND given.retention IS NOT NULL AND stream.next_offset <> given.next;
  END IF;
  IF refuses THEN
    DELETE FROM stream WHERE id = ANY (ids) AND next_offset = -1;
  END IF;
END $$;

-- Makes streams, or changes their retention.
-- in: as event_append; for each create the number of its stream and what is wanted (0 = as it is).
-- out: what is held if that refuses it, otherwise NULL.
CREATE FUNCTION stream_create(
  in_namespace TEXT, in_now_ms BIGINT, in_each BOOLEAN, in_names BYTEA[],
  in_stream INTEGER[], in_retention_ms BIGINT[], in_partitions INTEGER[], in_replication_factor INTEGER[],
  OUT held_partitions INTEGER, OUT held_replication_factor INTEGER
)
RETURNS SETOF RECORD LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  -- Of each stream:
  ids BIGINT[];
  retentions BIGINT[];
  parts INTEGER[]; -- NULL = no create has made it yet
  copies INTEGER[];
  refuses BOOLEAN := FALSE;
  s INTEGER;
BEGIN
  SELECT array_agg(id), array_agg(retention_ms), array_agg(CASE WHEN next_offset >= 0 THEN partitions END),
    array_agg(CASE WHEN next_offset >= 0 THEN replication_factor END)
    INTO ids, retentions, parts, copies
    FROM stream_lock(in_namespace, in_now_ms, in_names);

  FOR c IN 1 .. cardinality(in_stream) LOOP
    s := in_stream[c];
    IF in_partitions[c] NOT IN (0, parts[s]) OR in_replication_factor[c] NOT IN (0, copies[s]) THEN
      held_partitions := parts[s];
      held_replication_factor := copies[s];
      refuses := TRUE;
    ELSE
      held_partitions := NULL;
      held_replication_factor := NULL;
      retentions[s] := in_retention_ms[c];
      parts[s] := coalesce(parts[s], nullif(in_partitions[c], 0), 1);
      copies[s] := coalesce(copies[s], nullif(in_replication_factor[c], 0), 1);
    END IF;
    RETURN NEXT;
  END LOOP;

  IF in_each OR NOT refuses THEN
    UPDATE stream
      SET next_offset = greatest(next_offset, 0), retention_ms = given.retention, partitions = given.parts,
        replication_factor = given.copies, sweep_at_ms = CASE WHEN given.retention > 0 THEN 0 END
      FROM unnest(ids, retentions, parts, copies) AS given (id, retention, parts, copies)
      WHERE stream.id = given.id;
  ELSE
    DELETE FROM stream WHERE id = ANY (ids) AND next_offset = -1;
  END IF;
END $$;

-- Removes events of deleted streams and those that are past the retention, and skips streams that
-- others have locked.
-- in: the time; how much to do: a stream and an event count 1 each.
-- out: how many events it removed; whether there may be more to do.
CREATE FUNCTION stream_sweep(in_now_ms BIGINT, in_most INTEGER, OUT removed INTEGER, OUT more BOOLEAN)
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  s stream;
  left_to_do INTEGER := in_most;
  these INTEGER;
BEGIN
  removed := 0;
  more := TRUE;
  WHILE left_to_do > 0 LOOP
    SELECT * INTO s FROM stream WHERE sweep_at_ms <= in_now_ms ORDER BY sweep_at_ms LIMIT 1 FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
      more := FALSE;
      EXIT;
    END IF;
    WITH expired AS MATERIALIZED (
      SELECT number FROM event
      WHERE stream_id = s.id AND time_ms <= CASE WHEN s.name IS NULL THEN 9223372036854775807 ELSE in_now_ms - s.retention_ms END
      ORDER BY time_ms, number LIMIT left_to_do
    )
    DELETE FROM event USING expired WHERE stream_id = s.id AND event.number = expired.number;
    GET DIAGNOSTICS these = ROW_COUNT;
    removed := removed + these;
    IF these < left_to_do AND s.name IS NULL THEN
      DELETE FROM stream WHERE id = s.id;
    ELSIF these < left_to_do THEN
      UPDATE stream SET sweep_at_ms = s.retention_ms + (
          SELECT time_ms FROM event WHERE stream_id = s.id ORDER BY time_ms, number LIMIT 1)
        WHERE id = s.id;
    END IF;
    left_to_do := left_to_do - these - 1;
  END LOOP;
END $$;

-- Removes events of the namespace's deleted streams, and the streams.
-- in: a place; how much to do: a stream and an event count 1 each; the bytes of payloads after
-- which it stops. out: the place after that; NULL = there is no more.
CREATE FUNCTION stream_erase(
  in_namespace TEXT, in_most INTEGER, in_most_bytes BIGINT, INOUT at_stream BIGINT, INOUT at_number BIGINT
)
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  s BIGINT;
  these INTEGER;
  these_bytes BIGINT;
  last_number BIGINT;
BEGIN
  WHILE in_most > 0 AND in_most_bytes > 0 LOOP
    SELECT id INTO s FROM stream WHERE namespace = in_namespace AND name IS NULL AND id >= at_stream
      ORDER BY id LIMIT 1 FOR UPDATE;
    IF NOT FOUND THEN
      at_stream := NULL;
      at_number := NULL;
      EXIT;
    END IF;
    IF s > at_stream THEN
      at_stream := s;
      at_number := -1;
    END IF;
    SELECT count(*), sum(bytes), max(number) INTO these, these_bytes, last_number FROM (
      SELECT *, coalesce(sum(bytes) OVER (ORDER BY number ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
      FROM (
        SELECT number, octet_length(payload) AS bytes FROM event WHERE stream_id = s AND number > at_number
        ORDER BY number LIMIT in_most
      ) AS next
    ) AS sized
    WHERE before < in_most_bytes;
    IF these = 0 THEN
      DELETE FROM stream WHERE id = s;
    ELSE
      DELETE FROM event WHERE stream_id = s AND number > at_number AND number <= last_number;
      at_number := last_number;
    END IF;
    in_most := in_most - these - 1;
    in_most_bytes := in_most_bytes - coalesce(these_bytes, 0);
  END LOOP;
END $$;

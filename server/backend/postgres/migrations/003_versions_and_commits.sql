-- Each write gives the entry a larger version. Rows that are there already get 1, without being
-- rewritten. JavaScript's largest safe integer is the end.

CREATE SEQUENCE entry_version START WITH 2 MAXVALUE 9007199254740991;
-- Like the functions: who may use the tables needs no further right.
GRANT USAGE ON SEQUENCE entry_version TO PUBLIC;

ALTER TABLE entry ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE entry ALTER COLUMN version SET DEFAULT nextval('entry_version');

-- Gateways of older versions know no versions. A row that they write gets one here.
CREATE FUNCTION entry_written() RETURNS TRIGGER LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  NEW.version := nextval('entry_version');
  RETURN NEW;
END $$;
CREATE TRIGGER entry_written BEFORE UPDATE ON entry FOR EACH ROW
  WHEN (NEW.version = OLD.version) EXECUTE FUNCTION entry_written();

-- Makes commits, in their order.
-- in: the time; the keys of all commits, each once, ascending, and how large a value each may have
-- to be read (-1 = it is not needed); whether each commit tells; and the steps. Steps are a commit's
-- checks, then its mutations, then those of the next commit. Each has the numbers of its commit and
-- key, what it does (the words of commit.ts), a value, a number (milliseconds to live, or a
-- version), and what is added to what.
-- out: what became of each commit. 'committed': for each mutation what it found and the counter; the
-- version. 'failed': the indexes of the failed checks; of a commit that tells, what is held.
-- 'not_a_counter', 'counter_overflow': the index of the mutation.
CREATE FUNCTION entry_commit(
  in_namespace TEXT, in_now TIMESTAMPTZ, in_keys BYTEA[], in_most INTEGER[], in_tells BOOLEAN[],
  in_commit INTEGER[], in_key INTEGER[], in_does TEXT[], in_value BYTEA[], in_number BIGINT[],
  in_delta BIGINT[], in_initial BIGINT[],
  OUT outcome TEXT, OUT details TEXT, OUT out_version BIGINT, OUT out_ttl_ms BIGINT, OUT out_value BYTEA
)
RETURNS SETOF RECORD LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  keys CONSTANT INTEGER := cardinality(in_keys);
  -- State k is what the table holds of key k. State keys + i is what step i leaves.
  states INTEGER[]; -- the present state of each key
  ends TIMESTAMPTZ[]; -- of each state: when it expires; infinity = never, NULL = there is no entry
  versions BIGINT[]; -- of each state; 0 = the row was made here, only to be locked
  origins INTEGER[]; -- of each state: the step that brought its value; NULL = it is in the table
  places TID[]; -- of each key: its row, which stays in its place while it is locked
  stored BYTEA[]; -- of each key: the value in the table, as far as it is read
  replaced INTEGER[]; -- of each step: the state that it replaced
  step INTEGER := 1;
  first_step INTEGER;
  checks INTEGER;
  k INTEGER;
  does TEXT;
  found INTEGER;
  found_end TIMESTAMPTZ;
  found_value BYTEA;
  new_end TIMESTAMPTZ;
  new_origin INTEGER;
  new_version BIGINT;
  changes BOOLEAN;
  counter NUMERIC;
BEGIN
  -- Locks all keys in ascending order, as every write does, so that no two calls wait for each
  -- other. A row that exists is locked and not updated.
  INSERT INTO entry AS e (namespace, key, value, version)
    SELECT in_namespace, given.key, '', 0 FROM unnest(in_keys) AS given (key) ORDER BY given.key
    ON CONFLICT (namespace, key) DO UPDATE SET version = e.version WHERE FALSE;
  -- A statement of its own, because it must see what others wrote while the locks were waited for.
  -- LIMIT makes it look up each key in the index, whatever the planner believes of the table.
  SELECT array_agg(n), array_agg(place), array_agg(end_at), array_agg(version), array_agg(value)
    INTO states, places, ends, versions, stored
    FROM (
      SELECT n::integer, e.ctid AS place, e.version,
        CASE WHEN e.version > 0 AND (e.expires_at IS NULL OR e.expires_at > in_now)
          THEN coalesce(e.expires_at, 'infinity') END AS end_at,
        CASE WHEN octet_length(e.value) <= given.most THEN e.value END AS value
      FROM unnest(in_keys, in_most) WITH ORDINALITY AS given (key, most, n) CROSS JOIN LATERAL (
        SELECT ctid, * FROM entry WHERE namespace = in_namespace AND key = given.key LIMIT 1
      ) AS e
      ORDER BY n
    ) AS held;

  FOR c IN 1 .. cardinality(in_tells) LOOP
    first_step := step;
    checks := 0;
    new_version := 0;
    outcome := 'committed';
    details := '';
    out_version := NULL;
    out_ttl_ms := NULL;
    out_value := NULL;
    -- After the last step the number of the commit is NULL.
    WHILE in_commit[step] = c LOOP
      k := in_key[step];
      does := in_does[step];
      found := states[k];
      found_end := ends[found];

      IF does IN ('absent', 'present', 'value', 'version') THEN
        checks := checks + 1;
        IF NOT (CASE does
          WHEN 'absent' THEN found_end IS NULL
          WHEN 'present' THEN found_end IS NOT NULL
          WHEN 'version' THEN found_end IS NOT NULL AND versions[found] = in_number[step]
          ELSE found_end IS NOT NULL AND coalesce(in_value[step] =
            CASE WHEN origins[found] IS NULL THEN stored[k] ELSE in_value[origins[found]] END, FALSE)
        END) THEN
          outcome := 'failed';
          details := details || ' ' || step - first_step;
          IF in_tells[c] AND found_end IS NOT NULL THEN
            out_version := versions[found];
            out_ttl_ms := CASE WHEN isfinite(found_end)
              THEN ceil(extract(epoch FROM found_end - in_now) * 1000) ELSE 0 END;
            IF origins[found] IS NULL THEN
              SELECT e.value INTO out_value FROM entry AS e WHERE e.ctid = places[k];
            ELSE
              out_value := in_value[origins[found]];
            END IF;
          END IF;
        END IF;

      ELSIF outcome = 'committed' THEN
        details := details || ' ' || CASE
          WHEN found_end IS NULL THEN 'absent' WHEN isfinite(found_end) THEN 'expiring' ELSE 'lasting' END;
        changes := TRUE;
        new_end := CASE WHEN in_number[step] > 0
          THEN in_now + in_number[step] * INTERVAL '1 millisecond' ELSE 'infinity' END;
        new_origin := step;
        CASE does
          WHEN 'set' THEN
            NULL;
          WHEN 'replace' THEN
            new_end := coalesce(found_end, 'infinity');
          WHEN 'delete' THEN
            changes := found_end IS NOT NULL;
            new_end := NULL;
          WHEN 'expire' THEN
            changes := found_end IS NOT NULL;
            new_origin := origins[found];
          WHEN 'persist' THEN
            changes := coalesce(isfinite(found_end), FALSE);
            new_origin := origins[found];
          WHEN 'add' THEN
            IF found_end IS NULL THEN
              counter := in_initial[step];
            ELSE
              new_end := found_end;
              found_value := CASE WHEN origins[found] IS NULL THEN stored[k] ELSE in_value[origins[found]] END;
              -- parseCounter's rules. A byte that is not ASCII becomes an escape.
              counter := CASE WHEN octet_length(found_value) <= 20
                AND encode(found_value, 'escape') ~ '^(0|-?[1-9][0-9]*)$'
                THEN encode(found_value, 'escape')::numeric END;
            END IF;
            IF counter BETWEEN -9223372036854775808 AND 9223372036854775807 THEN
              counter := counter + in_delta[step];
              IF counter BETWEEN -9223372036854775808 AND 9223372036854775807 THEN
                details := details || ':' || counter;
                in_value[step] := convert_to(counter::text, 'UTF8');
              ELSE
                outcome := 'counter_overflow';
              END IF;
            ELSE
              outcome := 'not_a_counter';
            END IF;
        END CASE;

        IF outcome <> 'committed' THEN
          details := ' ' || step - first_step - checks;
          FOR undone IN REVERSE step - 1 .. first_step LOOP
            IF replaced[undone] IS NOT NULL THEN
              states[in_key[undone]] := replaced[undone];
            END IF;
          END LOOP;
        ELSIF changes THEN
          IF new_version = 0 AND new_end IS NOT NULL THEN
            new_version := nextval('entry_version');
          END IF;
          replaced[step] := found;
          states[k] := keys + step;
          ends[keys + step] := new_end;
          origins[keys + step] := new_origin;
          versions[keys + step] := new_version;
        END IF;
      END IF;
      step := step + 1;
    END LOOP;

    IF outcome = 'committed' THEN
      out_version := 0;
      FOR done IN first_step .. step - 1 LOOP
        -- What a later mutation of the commit deletes was not written.
        IF states[in_key[done]] = keys + done AND ends[keys + done] IS NOT NULL THEN
          out_version := new_version;
          EXIT;
        END IF;
      END LOOP;
    END IF;
    RETURN NEXT;
  END LOOP;

  -- A value that stays where it is is not written again, however large.
  UPDATE entry AS e
    SET value = CASE WHEN origins[state] IS NULL THEN e.value ELSE in_value[origins[state]] END,
      expires_at = nullif(ends[state], 'infinity'), version = versions[state]
    FROM unnest(places, states) AS given (place, state)
    WHERE e.ctid = place AND state > keys AND ends[state] IS NOT NULL;
  DELETE FROM entry AS e USING unnest(places, states) AS given (place, state)
    WHERE e.ctid = place AND ends[state] IS NULL AND (state > keys OR versions[state] = 0);
END $$;

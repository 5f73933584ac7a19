-- Streams of events. The events of an append are in one row or a few: see event-chunk.ts.

-- The row of a deleted stream stays until its events are gone, so that no other stream gets its id.
CREATE TABLE stream (
  id INTEGER PRIMARY KEY,
  namespace TEXT NOT NULL,
  name BLOB, -- NULL = it was deleted
  retention_ms INTEGER NOT NULL, -- 0 = for ever
  partitions INTEGER NOT NULL,
  replication_factor INTEGER NOT NULL,
  created_at_ms INTEGER NOT NULL, -- milliseconds since 1970
  next_offset INTEGER NOT NULL,
  last_ms INTEGER NOT NULL, -- the latest time of its events; 0 = it has had none
  -- Events before this offset, of this time or earlier, were past an earlier retention. They stay
  -- invisible.
  gone_below INTEGER NOT NULL,
  gone_until_ms INTEGER NOT NULL,
  sweep_at_ms INTEGER, -- when a chunk can be removed; 0 = now; NULL = never
  UNIQUE (namespace, name)
) STRICT;

CREATE INDEX stream_by_sweep ON stream (sweep_at_ms) WHERE sweep_at_ms IS NOT NULL;

CREATE TABLE event_chunk (
  id INTEGER PRIMARY KEY,
  stream_id INTEGER NOT NULL,
  last_offset INTEGER NOT NULL,
  span_class INTEGER NOT NULL, -- about how much time is between min_ms and max_ms: see span-class.ts
  min_ms INTEGER NOT NULL, -- the times of its events
  max_ms INTEGER NOT NULL,
  data BLOB NOT NULL
) STRICT;

-- Both have max_ms, so that chunks are passed without reading their rows.
CREATE UNIQUE INDEX event_chunk_by_offset ON event_chunk (stream_id, last_offset, max_ms);
CREATE INDEX event_chunk_by_time ON event_chunk (stream_id, span_class, min_ms, last_offset, max_ms);

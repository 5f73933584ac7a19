-- Writes items of records, one record after the other.
-- KEYS: the items' expiry, the index of records, then for each record its items and their order.
-- ARGV: "each" or "whole": whether a key of another type fails only its own record, or the whole
-- call; the number of bytes before `namespace:id` in the name of a record's items; then for each
-- record how many writes it has, and the writes. A write is one of these:
--   put KEY VALUE METADATA TTL
--   swap KEY VALUE EXPECTED: only if EXPECTED is there; keeps metadata and time to live
--   make KEY VALUE: only if no item is there; it has no metadata and never expires
-- A TTL is in milliseconds, and 0 = for ever.
-- Result: for each record 1 where the last of its writes was made, else the value that is there
-- (nil = there is none); or an error where a key has another type, or the server has no room.
-- A script that fails half-way is not undone, so what could fail is looked at first.

-- An item is these bytes, metadata and value: when it was created and written (milliseconds since
-- 1970), its time to live, and the number of bytes of its metadata.
local HEAD, HEAD_BYTES = '>dddI2', 26

local mode, first, expiry, index = ARGV[1], ARGV[2] + 1, KEYS[1], KEYS[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local damaged, is_new = {}, {}
for i = 3, #KEYS do
  local found, wanted = redis.call('TYPE', KEYS[i]).ok, i % 2 == 1 and 'hash' or 'zset'
  is_new[KEYS[i]] = found == 'none'
  if found ~= 'none' and found ~= wanted then
    local answer = redis.error_reply('WRONGTYPE ' .. KEYS[i] .. ' is no ' .. wanted)
    if mode ~= 'each' then return answer end
    damaged[math.floor((i - 1) / 2)] = answer
  end
end

-- The unexpired item: when it was created, its time to live, metadata and value. nil = none.
local function held(items, key)
  local stored = redis.call('HGET', items, key)
  if not stored or #stored < HEAD_BYTES then return nil end
  local created, updated, ttl, size = struct.unpack(HEAD, stored)
  if ttl > 0 and updated + ttl <= now then return nil end
  local from = HEAD_BYTES + 1
  return created, ttl, string.sub(stored, from, HEAD_BYTES + size), string.sub(stored, from + size)
end

-- How many arguments a write has.
local arguments = { put = 5, swap = 4, make = 3 }

-- Makes the write at ARGV[at], and answers it.
local function write(items, order, at)
  local kind, key, value = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local created, ttl, metadata, actual = held(items, key)
  if kind == 'put' then
    metadata, ttl = ARGV[at + 3], tonumber(ARGV[at + 4])
  else
    local expected = kind == 'swap' and ARGV[at + 3] or nil
    if actual ~= expected then return actual or false end
    metadata, ttl = metadata or '', ttl or 0
  end
  local head = struct.pack(HEAD, created or now, now, ttl, #metadata)
  local added = redis.pcall('HSET', items, key, head .. metadata .. value)
  if type(added) == 'table' then
    -- A full server refuses the first command that writes, so nothing was written before.
    if string.sub(added.err, 1, 3) == 'OOM' then return added end
    error(added)
  end
  local name = string.sub(items, first)
  if added == 1 then redis.call('ZADD', order, 0, key) end
  if is_new[items] then
    redis.call('ZADD', index, 0, name)
    is_new[items] = false
  end
  local member = struct.pack('>I2', #name) .. name .. key
  if ttl > 0 then
    redis.call('ZADD', expiry, string.format('%.0f', now + ttl - 1), member)
  elseif added == 0 then
    redis.call('ZREM', expiry, member)
  end
  return 1
end

local answers, at = {}, 3
for i = 1, (#KEYS - 2) / 2 do
  local writes = tonumber(ARGV[at])
  at = at + 1
  for _ = 1, writes do
    answers[i] = damaged[i] or write(KEYS[2 * i + 1], KEYS[2 * i + 2], at)
    at = at + arguments[ARGV[at]]
  end
end
return answers

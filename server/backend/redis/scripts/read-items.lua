-- Reads items of records by their keys.
-- KEYS: for each read the record's items.
-- ARGV: the bytes that an item counts besides key, metadata and value, then for each read the
-- number of its keys, the most bytes of its items together, and the keys.
-- Result: for each read its items in the order of the keys (nil = there is none), "large" if they
-- have more bytes, or an error where a key has another type.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local around = tonumber(ARGV[1])

-- See write-items.lua.
local HEAD_BYTES = 26

-- The keys are from ARGV[at] on.
local function read(record, count, most, at)
  local items, bytes = {}, 0
  for i = 1, count do
    local key = ARGV[at + i - 1]
    local stored = redis.pcall('HGET', record, key)
    if type(stored) == 'table' then return stored end
    if stored and #stored >= HEAD_BYTES then
      local updated, ttl = struct.unpack('>dd', stored, 9)
      if ttl > 0 and updated + ttl <= now then stored = false end
    end
    items[i] = stored
    if stored then
      bytes = bytes + around + #key + #stored - HEAD_BYTES
      if bytes > most then return 'large' end
    end
  end
  return items
end

local answers, at = {}, 2
for i = 1, #KEYS do
  local count = tonumber(ARGV[at])
  answers[i] = read(KEYS[i], count, tonumber(ARGV[at + 1]), at + 2)
  at = at + 2 + count
end
return answers

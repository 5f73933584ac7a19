-- Deletes items of records that have expired.
-- KEYS: the items' expiry, the index of records, then for each member of the expiry the record's
-- items and their order.
-- ARGV: the members of the expiry. One that was written again meanwhile stays.
-- Result: nothing.
local expiry, index = KEYS[1], KEYS[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for i = 1, #ARGV do
  local last = redis.call('ZSCORE', expiry, ARGV[i])
  -- The last millisecond in which the item is there.
  if last and tonumber(last) < now then
    local size = struct.unpack('>I2', ARGV[i])
    local name, key = string.sub(ARGV[i], 3, 2 + size), string.sub(ARGV[i], 3 + size)
    local items, order = KEYS[2 * i + 1], KEYS[2 * i + 2]
    redis.call('HDEL', items, key)
    redis.call('ZREM', order, key)
    redis.call('ZREM', expiry, ARGV[i])
    if redis.call('EXISTS', order) == 0 then redis.call('ZREM', index, name) end
  end
end
return false

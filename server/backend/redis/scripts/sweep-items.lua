-- Deletes items of records that have expired.
-- KEYS: the items' expiry, then for each member of it the record's items and their order.
-- ARGV: the members. One that was written again meanwhile stays.
-- Result: nothing.
local expiry = KEYS[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for i = 1, #ARGV do
  local last = redis.call('ZSCORE', expiry, ARGV[i])
  -- The last millisecond in which the item is there.
  if last and tonumber(last) < now then
    local key = string.sub(ARGV[i], 3 + struct.unpack('>I2', ARGV[i]))
    redis.call('HDEL', KEYS[2 * i], key)
    redis.call('ZREM', KEYS[2 * i + 1], key)
    redis.call('ZREM', expiry, ARGV[i])
  end
end
return false

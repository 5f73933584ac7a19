-- Writes entries, with their places in the index and in the order of expiry.
-- KEYS: index, expiry, then each entry.
-- ARGV: the number of bytes of an entry's name before its member of the index, then the value and
-- the time to live of each entry, in milliseconds (0 = for ever).
-- Result: nothing.
local index, expiry = KEYS[1], KEYS[2]
local first = ARGV[1] + 1
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for i = 3, #KEYS do
  local member = string.sub(KEYS[i], first)
  local value, ttl = ARGV[2 * i - 4], tonumber(ARGV[2 * i - 3])
  if ttl > 0 then
    -- The last millisecond of the entry's life. Redis still shows a key in the millisecond of PXAT,
    -- and an entry must be gone in the millisecond in which it expires.
    local last = string.format('%.0f', now + ttl - 1)
    redis.call('SET', KEYS[i], value, 'PXAT', last)
    redis.call('ZADD', expiry, last, member)
  else
    redis.call('SET', KEYS[i], value)
    redis.call('ZREM', expiry, member)
  end
  redis.call('ZADD', index, 0, member)
end
return false

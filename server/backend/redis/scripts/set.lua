-- Writes entries, with their places in the index and in the order of expiry.
-- KEYS: index, expiry, version, then each entry.
-- ARGV: the number of bytes of an entry's name before its member of the index, then the value and
-- the time to live of each entry, in milliseconds (0 = for ever).
-- Result: nothing.
local index, expiry, version = KEYS[1], KEYS[2], KEYS[3]
local first = ARGV[1] + 1
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- By the clock, so that versions grow also where a replica that took over lacks the last one.
local given = math.max((redis.call('GET', version) or 0) + 1, time[1] * 1000000 + time[2])
redis.call('SET', version, string.format('%.0f', given))
local head = struct.pack('>I8', given)
for i = 4, #KEYS do
  local member = string.sub(KEYS[i], first)
  local value, ttl = head .. ARGV[2 * i - 6], tonumber(ARGV[2 * i - 5])
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

-- Writes entries, with their places in the index and in the order of expiry.
-- KEYS: index, expiry, then each entry.
-- ARGV: how many bytes of an entry's name stand before its member of the index; then for each entry its value and its time to live in
-- milliseconds (0 = for ever).
-- Result: nothing.
local index, expiry = KEYS[1], KEYS[2]
local first = ARGV[1] + 1
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for i = 3, #KEYS do
  local member = string.sub(KEYS[i], first)
  local value, ttl = ARGV[2 * i - 4], tonumber(ARGV[2 * i - 3])
  if ttl > 0 then
    -- The last millisecond of its life. Redis shows a key in the one of PXAT too, and an entry is to be
    -- gone in the one in which it expires.
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

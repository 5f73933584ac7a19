-- KEYS: expiry. ARGV: none.
-- Result: the members of those that are expired.
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
-- An entry is there up to its millisecond, as GET sees it.
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. now)

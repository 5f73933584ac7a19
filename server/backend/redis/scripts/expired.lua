-- KEYS: expiry.
-- ARGV: a moment in milliseconds since 1970 ("" = now), the number of members to pass over, and the
-- most members to answer.
-- Result: that moment, how many have expired by then, and the members of those.
local now = ARGV[1]
if now == '' then
  local time = redis.call('TIME')
  now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
end
-- The score is the last millisecond in which an entry is there, for GET too.
local before = '(' .. now
local result = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', before, 'LIMIT', ARGV[2], ARGV[3])
table.insert(result, 1, tostring(redis.call('ZCOUNT', KEYS[1], '-inf', before)))
table.insert(result, 1, now)
return result

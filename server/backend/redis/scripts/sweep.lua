-- Takes expired entries out of the index, and counts the others. Redis deletes the values itself.
-- KEYS: index, expiry.
-- ARGV: the most to take out; from where, and up to where, to count (as ZLEXCOUNT takes it).
-- Result: the number taken out, and the number left in the range. If the most were taken out, some
-- of those left may be expired.
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
-- The score is the last millisecond in which an entry is there, for GET too.
local expired = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '(' .. now, 'LIMIT', 0, ARGV[1])
if #expired > 0 then
  redis.call('ZREM', KEYS[1], unpack(expired))
  redis.call('ZREM', KEYS[2], unpack(expired))
end
return { #expired, redis.call('ZLEXCOUNT', KEYS[1], ARGV[2], ARGV[3]) }

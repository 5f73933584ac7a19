-- Adds values to lists, one after the other.
-- KEYS: for each value its list.
-- ARGV: for each value LPUSH or RPUSH, and the value.
-- Result: for each value how long its list is then.
local lengths = {}
for i = 1, #KEYS do
  lengths[i] = redis.call(ARGV[2 * i - 1], KEYS[i], ARGV[2 * i])
end
return lengths

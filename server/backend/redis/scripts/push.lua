-- Adds values to lists, one after the other.
-- KEYS: for each value its list.
-- ARGV: for each value LPUSH or RPUSH, and the value.
-- Result: for each value how long its list is then.
-- A script that fails half-way is not undone, so what could fail is looked at first.
for i = 1, #KEYS do
  local found = redis.call('TYPE', KEYS[i]).ok
  if found ~= 'list' and found ~= 'none' then
    return redis.error_reply('WRONGTYPE ' .. KEYS[i] .. ' is no list')
  end
end
local lengths = {}
for i = 1, #KEYS do
  lengths[i] = redis.call(ARGV[2 * i - 1], KEYS[i], ARGV[2 * i])
end
return lengths

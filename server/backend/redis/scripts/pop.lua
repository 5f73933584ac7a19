-- Takes values off lists, one after the other.
-- KEYS: for each value its list.
-- ARGV: for each value LPOP or RPOP.
-- Result: for each the value, or nil where there is none.
-- A script that fails half-way is not undone, so what could fail is looked at first.
for i = 1, #KEYS do
  local found = redis.call('TYPE', KEYS[i]).ok
  if found ~= 'list' and found ~= 'none' then
    return redis.error_reply('WRONGTYPE ' .. KEYS[i] .. ' is no list')
  end
end
local values = {}
for i = 1, #KEYS do
  values[i] = redis.call(ARGV[i], KEYS[i])
end
return values

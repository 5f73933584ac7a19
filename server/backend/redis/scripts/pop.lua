-- Takes values off lists, one after the other.
-- KEYS: for each value its list.
-- ARGV: LPOP or RPOP for each value, then "each" or "whole": whether a key that is no list fails
-- only its own items, or the whole call.
-- Result: for each the value, or nil where there is none, or an error where the key is no list.
-- A script that fails half-way is not undone, so what could fail is looked at first.
local no_list = {}
for i = 1, #KEYS do
  local found = redis.call('TYPE', KEYS[i]).ok
  if found ~= 'list' and found ~= 'none' then
    no_list[i] = redis.error_reply('WRONGTYPE ' .. KEYS[i] .. ' is no list')
    if ARGV[#ARGV] ~= 'each' then return no_list[i] end
  end
end
local values = {}
for i = 1, #KEYS do
  values[i] = no_list[i] or redis.call(ARGV[i], KEYS[i])
end
return values

-- Adds values to lists, one after the other.
-- KEYS: for each value its list.
-- ARGV: LPUSH or RPUSH and the value, for each value, then the channel for the names of lists that
-- were empty, then "each" or "whole": whether a key that is no list fails only its own items, or
-- the whole call.
-- Result: for each value how long its list is then, or an error where the key is no list.
-- A script that fails half-way is not undone, so what could fail is looked at first.
local no_list = {}
for i = 1, #KEYS do
  local found = redis.call('TYPE', KEYS[i]).ok
  if found ~= 'list' and found ~= 'none' then
    no_list[i] = redis.error_reply('WRONGTYPE ' .. KEYS[i] .. ' is no list')
    if ARGV[#ARGV] ~= 'each' then return no_list[i] end
  end
end
local lengths = {}
for i = 1, #KEYS do
  lengths[i] = no_list[i] or redis.call(ARGV[2 * i - 1], KEYS[i], ARGV[2 * i])
  -- A user who may not publish can push all the same.
  if lengths[i] == 1 then redis.pcall('PUBLISH', ARGV[#ARGV - 1], KEYS[i]) end
end
return lengths

-- Adds values to lists, one after the other.
-- KEYS: for each value its list, then the index of lists.
-- ARGV: LPUSH or RPUSH and the value, for each value, then the number of bytes of a list's name
-- before its member of the index, then the channel for the names of lists that were empty, then
-- "each" or "whole": whether a key that is no list fails only its own items, or the whole call.
-- Result: for each value how long its list is then, or an error where the key is no list.
-- A script that fails half-way is not undone, so what could fail is looked at first.
local lists, index, first = #KEYS - 1, KEYS[#KEYS], ARGV[#ARGV - 2] + 1
local no_list = {}
for i = 1, lists do
  local found = redis.call('TYPE', KEYS[i]).ok
  if found ~= 'list' and found ~= 'none' then
    no_list[i] = redis.error_reply('WRONGTYPE ' .. KEYS[i] .. ' is no list')
    if ARGV[#ARGV] ~= 'each' then return no_list[i] end
  end
end
local lengths = {}
for i = 1, lists do
  lengths[i] = no_list[i] or redis.call(ARGV[2 * i - 1], KEYS[i], ARGV[2 * i])
  if lengths[i] == 1 then
    redis.call('ZADD', index, 0, string.sub(KEYS[i], first))
    -- A user who may not publish can push all the same.
    redis.pcall('PUBLISH', ARGV[#ARGV - 1], KEYS[i])
  end
end
return lengths

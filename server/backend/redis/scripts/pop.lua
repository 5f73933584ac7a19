-- Takes values off lists, one after the other.
-- KEYS: for each value its list, then the index of lists.
-- ARGV: LPOP or RPOP for each value, then the number of bytes of a list's name before its member of
-- the index, then "each" or "whole": whether a key that is no list fails only its own items, or the
-- whole call.
-- Result: for each the value, or nil where there is none, or an error where the key is no list.
-- A script that fails half-way is not undone, so what could fail is looked at first.
local lists, index, first = #KEYS - 1, KEYS[#KEYS], ARGV[#ARGV - 1] + 1
local no_list, lengths = {}, {}
for i = 1, lists do
  -- An error where the key is no list.
  local length = redis.pcall('LLEN', KEYS[i])
  if type(length) == 'table' then
    no_list[i] = redis.error_reply('WRONGTYPE ' .. KEYS[i] .. ' is no list')
    if ARGV[#ARGV] ~= 'each' then return no_list[i] end
  end
  lengths[KEYS[i]] = length
end
local values = {}
for i = 1, lists do
  local list = KEYS[i]
  values[i] = no_list[i] or redis.call(ARGV[i], list)
  if values[i] and not no_list[i] then
    lengths[list] = lengths[list] - 1
    if lengths[list] == 0 then redis.call('ZREM', index, string.sub(list, first)) end
  end
end
return values

-- Changes lists, one after the other.
-- KEYS: for each change its list; for LMOVE also the list that gets the value.
-- ARGV: "each" or "whole": whether a key that is no list fails only its own changes, or the whole
-- call; the command; the number of changes; the channel for the names of lists that were empty and
-- got a value; then for each change the command's other arguments.
-- Result: for each change an error where a key is no list, or
--   LTRIM: how long the list is then
--   LSET: "put", "absent" = there is no list, "outside" = the list has no such place
--   LINSERT: how long the list is then, negative = without the new value
--   LREM: how many were removed
--   LMOVE: the value, or nil where there is none
-- A script that fails half-way is not undone, so what could fail is looked at first.
local mode, command, count, channel = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local keys_each, args_each = #KEYS / count, (#ARGV - 4) / count
local no_list = {}
for i = 1, #KEYS do
  local found = redis.call('TYPE', KEYS[i]).ok
  if found ~= 'list' and found ~= 'none' then
    local change = math.floor((i - 1) / keys_each) + 1
    no_list[change] = redis.error_reply('WRONGTYPE ' .. KEYS[i] .. ' is no list')
    if mode ~= 'each' then return no_list[change] end
  end
end
local edits = {
  LTRIM = function(key, start, stop)
    redis.call('LTRIM', key, start, stop)
    return redis.call('LLEN', key)
  end,
  LSET = function(key, index, value)
    local length, place = redis.call('LLEN', key), tonumber(index)
    if length == 0 then return 'absent' end
    if place < -length or place >= length then return 'outside' end
    redis.call('LSET', key, index, value)
    return 'put'
  end,
  LINSERT = function(key, side, pivot, value)
    local length = redis.call('LINSERT', key, side, pivot, value)
    return length > 0 and length or -redis.call('LLEN', key)
  end,
  LREM = function(key, most, value)
    return redis.call('LREM', key, most, value)
  end,
  LMOVE = function(key, to, side, to_side)
    local value = redis.call('LMOVE', key, to, side, to_side)
    -- A user who may not publish can move all the same.
    if value and redis.call('LLEN', to) == 1 then redis.pcall('PUBLISH', channel, to) end
    return value
  end,
}
local answers = {}
for i = 1, count do
  local parts = {}
  for k = 1, keys_each do table.insert(parts, KEYS[(i - 1) * keys_each + k]) end
  for a = 1, args_each do table.insert(parts, ARGV[4 + (i - 1) * args_each + a]) end
  answers[i] = no_list[i] or edits[command](unpack(parts))
end
return answers

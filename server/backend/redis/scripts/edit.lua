-- Changes lists, one after the other.
-- KEYS: the index of lists, then for each change its list; for LMOVE also the list that gets the
-- value.
-- ARGV: "each" or "whole": whether a key that is no list fails only its own changes, or the whole
-- call; the command; the number of changes; the channel for the names of lists that were empty and
-- got a value; the number of bytes of a list's name before its member of the index; then for each
-- change the command's other arguments.
-- Result: for each change an error where a key is no list, or
--   LTRIM: how long the list is then
--   LSET: "put", "absent" = there is no list, "outside" = the list has no such place
--   LINSERT: how long the list is then, negative = without the new value
--   LREM: how many were removed
--   LMOVE: the value, or nil where there is none
-- A script that fails half-way is not undone, so what could fail is looked at first.
local mode, command, count, channel, first = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5] + 1
local index = KEYS[1]
local keys_each, args_each = (#KEYS - 1) / count, (#ARGV - 5) / count
local no_list = {}
for i = 2, #KEYS do
  local found = redis.call('TYPE', KEYS[i]).ok
  if found ~= 'list' and found ~= 'none' then
    local change = math.floor((i - 2) / keys_each) + 1
    no_list[change] = redis.error_reply('WRONGTYPE ' .. KEYS[i] .. ' is no list')
    if mode ~= 'each' then return no_list[change] end
  end
end
local function drop_empty(key, length)
  if length == 0 then redis.call('ZREM', index, string.sub(key, first)) end
  return length
end
local edits = {
  LTRIM = function(key, start, stop)
    redis.call('LTRIM', key, start, stop)
    return drop_empty(key, redis.call('LLEN', key))
  end,
  LSET = function(key, at, value)
    local length, place = redis.call('LLEN', key), tonumber(at)
    if length == 0 then return 'absent' end
    if place < -length or place >= length then return 'outside' end
    redis.call('LSET', key, at, value)
    return 'put'
  end,
  LINSERT = function(key, side, pivot, value)
    local length = redis.call('LINSERT', key, side, pivot, value)
    return length > 0 and length or -redis.call('LLEN', key)
  end,
  LREM = function(key, most, value)
    local removed = redis.call('LREM', key, most, value)
    if removed > 0 then drop_empty(key, redis.call('LLEN', key)) end
    return removed
  end,
  LMOVE = function(key, to, side, to_side)
    local value = redis.call('LMOVE', key, to, side, to_side)
    if not value then return value end
    if redis.call('LLEN', to) == 1 then
      redis.call('ZADD', index, 0, string.sub(to, first))
      -- A user who may not publish can move all the same.
      redis.pcall('PUBLISH', channel, to)
    end
    drop_empty(key, redis.call('LLEN', key))
    return value
  end,
}
local answers = {}
for i = 1, count do
  local parts = {}
  for k = 1, keys_each do table.insert(parts, KEYS[1 + (i - 1) * keys_each + k]) end
  for a = 1, args_each do table.insert(parts, ARGV[5 + (i - 1) * args_each + a]) end
  answers[i] = no_list[i] or edits[command](unpack(parts))
end
return answers

-- Deletes items of records, one record after the other.
-- KEYS: the items' expiry, the index of records, then for each delete the record's items and their
-- order.
-- ARGV: "each" or "whole": whether a key of another type fails only its own delete, or the whole
-- call; the number of bytes before `namespace:id` in the name of a record's items; then for each
-- delete the number of its keys and the keys, or -1 and the most items of the whole record.
-- Result: for each delete how many unexpired items there were, and 1 if of a whole record there are
-- more, else 0; or an error where a key has another type.
-- A script that fails half-way is not undone, so what could fail is looked at first.
local mode, first, expiry, index = ARGV[1], ARGV[2] + 1, KEYS[1], KEYS[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local damaged = {}
for i = 3, #KEYS do
  local found, wanted = redis.call('TYPE', KEYS[i]).ok, i % 2 == 1 and 'hash' or 'zset'
  if found ~= 'none' and found ~= wanted then
    local answer = redis.error_reply('WRONGTYPE ' .. KEYS[i] .. ' is no ' .. wanted)
    if mode ~= 'each' then return answer end
    damaged[math.floor((i - 1) / 2)] = answer
  end
end

local function delete(items, order, keys)
  local deleted, name = 0, string.sub(items, first)
  local head = struct.pack('>I2', #name) .. name
  for i = 1, #keys do
    if redis.call('HDEL', items, keys[i]) == 1 then
      redis.call('ZREM', order, keys[i])
      -- The last millisecond in which the item is there.
      local last = redis.call('ZSCORE', expiry, head .. keys[i])
      if last then redis.call('ZREM', expiry, head .. keys[i]) end
      if not last or tonumber(last) >= now then deleted = deleted + 1 end
    end
  end
  -- 0 = the record is gone.
  local is_left = redis.call('EXISTS', order)
  if is_left == 0 then redis.call('ZREM', index, name) end
  return deleted, is_left
end

local answers, at = {}, 3
for i = 1, (#KEYS - 2) / 2 do
  local items, order, count = KEYS[2 * i + 1], KEYS[2 * i + 2], tonumber(ARGV[at])
  if damaged[i] then
    answers[i] = damaged[i]
  elseif count < 0 then
    local keys = redis.call('ZRANGEBYLEX', order, '-', '+', 'LIMIT', 0, ARGV[at + 1])
    answers[i] = { delete(items, order, keys) }
  else
    local keys = {}
    for k = 1, count do keys[k] = ARGV[at + k] end
    local deleted = delete(items, order, keys)
    answers[i] = { deleted, 0 }
  end
  at = at + 1 + math.abs(count)
end
return answers

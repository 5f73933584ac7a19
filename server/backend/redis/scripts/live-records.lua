-- Tells which records have an item that has not expired.
-- KEYS: the items' expiry, then the order of each record's items.
-- ARGV: the number of bytes before `namespace:id` in the name of an order, then for each record the
-- place to look from, as ZRANGEBYLEX takes it.
-- Result: for each record 1 = it has one, 0 = it has none, or the key of an item: none up to that
-- one, and others follow.
local expiry, first = KEYS[1], ARGV[1] + 1
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- The items in a step. The first one tells of nearly every record.
local FIRST, MOST = 1, 1024

local function look(order, from)
  local name = string.sub(order, first)
  local head = struct.pack('>I2', #name) .. name
  local step, keys = FIRST, nil
  repeat
    keys = redis.pcall('ZRANGEBYLEX', order, from, '+', 'LIMIT', 0, step)
    -- A key of another type has no items.
    if keys.err or #keys == 0 then return 0 end
    for i = 1, #keys do
      -- The last millisecond in which the item is there.
      local last = redis.call('ZSCORE', expiry, head .. keys[i])
      if not last or tonumber(last) >= now then return 1 end
    end
    if #keys < step then return 0 end
    from, step = '(' .. keys[#keys], step == FIRST and MOST or 0
  until step == 0
  return keys[#keys]
end

local answers = {}
for i = 2, #KEYS do
  answers[i - 1] = look(KEYS[i], ARGV[i])
end
return answers

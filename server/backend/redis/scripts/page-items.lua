-- Pages of records.
-- KEYS: for each page the record's items and their order.
-- ARGV: the bytes that an item counts besides key, metadata and value, then for each page the ends
-- of its range as ZRANGEBYLEX takes them, the most items, and the bytes that end the page.
-- Result: for each page the key after which the next one begins (nil = this is the last page), then
-- each item's key and the item; or an error where a key has another type.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local around = tonumber(ARGV[1])

-- See write-items.lua.
local HEAD_BYTES = 26

-- The keys in a step of a page, and the most expired items that a page passes.
local MOST_KEYS, MOST_EXPIRED = 128, 1024

local function page(items, order, from, below, most_items, most_bytes)
  local answer, count, bytes, expired, last = { false }, 0, 0, 0, nil
  -- One more than wanted tells whether there are more.
  local step = math.min(MOST_KEYS, most_items + 1)
  repeat
    local keys = redis.pcall('ZRANGEBYLEX', order, from, below, 'LIMIT', 0, step)
    if keys.err then return keys end
    for i = 1, #keys do
      if count >= most_items or bytes >= most_bytes or expired >= MOST_EXPIRED then
        answer[1] = last
        return answer
      end
      last = keys[i]
      local stored = redis.pcall('HGET', items, last)
      if type(stored) == 'table' then return stored end
      local updated, ttl = 0, 0
      if stored and #stored >= HEAD_BYTES then updated, ttl = struct.unpack('>dd', stored, 9) end
      if ttl > 0 and updated + ttl <= now then
        expired = expired + 1
      elseif stored then
        count, bytes = count + 1, bytes + around + #last + #stored - HEAD_BYTES
        answer[2 * count], answer[2 * count + 1] = last, stored
      end
    end
    from = '(' .. (last or '')
  until #keys < step
  return answer
end

local pages = {}
for i = 1, #KEYS / 2 do
  local a = 4 * i - 2
  local most_items, most_bytes = tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3])
  pages[i] = page(KEYS[2 * i - 1], KEYS[2 * i], ARGV[a], ARGV[a + 1], most_items, most_bytes)
end
return pages

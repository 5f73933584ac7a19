-- Pages of lists.
-- KEYS: for each page its list.
-- ARGV: for each page the range as of LRANGE, the most values, and the bytes that end the page.
-- Result: for each page the list's length and the values, or an error where the key is no list.

-- Values in a step of a page. The first few tell how large they are.
local FIRST, MOST = 4, 64

local function page(key, start, stop, most_values, most_bytes)
  local length = redis.pcall('LLEN', key)
  if type(length) == 'table' then return length end
  if start < 0 then start = math.max(0, length + start) end
  if stop < 0 then stop = length + stop end
  stop = math.min(stop, length - 1, start + most_values - 1)
  local answer, at, bytes, step = { length }, start, 0, FIRST
  while at <= stop and bytes < most_bytes do
    local values = redis.call('LRANGE', key, at, math.min(stop, at + step - 1))
    for i = 1, #values do
      table.insert(answer, values[i])
      bytes = bytes + #values[i]
      if bytes >= most_bytes then break end
    end
    at = at + #values
    step = math.min(MOST, math.ceil((most_bytes - bytes) * (at - start) / math.max(1, bytes)))
  end
  return answer
end

local pages = {}
for i = 1, #KEYS do
  local a = 4 * i - 3
  pages[i] = page(KEYS[i], tonumber(ARGV[a]), tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3]))
end
return pages

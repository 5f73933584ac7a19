-- Reads entries at one moment.
-- KEYS: the entries of each read, one read after the other.
-- ARGV: for each read the number of its entries, and the most bytes of their values together (-1 =
-- values are not wanted).
-- Result: for each read a list, empty if its values have more bytes: for each entry its string (nil
-- = there is none), of which without values only the version, and the milliseconds until it expires
-- (0 = never).
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function read(from, to, most)
  local lasts, bytes = {}, 0
  for i = from, to do
    -- The last millisecond; -1 = it never expires, -2 = there is none. In a script Redis also shows
    -- what expired meanwhile.
    lasts[i] = redis.call('PEXPIRETIME', KEYS[i])
    if most >= 0 and (lasts[i] == -1 or lasts[i] >= now) then
      bytes = bytes + redis.call('STRLEN', KEYS[i]) - 8
      if bytes > most then return {} end
    end
  end
  local entries = {}
  for i = from, to do
    local last = lasts[i]
    local is_there = last == -1 or last >= now
    local stored = is_there and (most < 0 and redis.call('GETRANGE', KEYS[i], 0, 7) or redis.call('GET', KEYS[i]))
    table.insert(entries, stored)
    table.insert(entries, last >= now and last + 1 - now or 0)
  end
  return entries
end

local answers, from = {}, 1
for i = 1, #ARGV, 2 do
  local to = from + ARGV[i] - 1
  table.insert(answers, read(from, to, tonumber(ARGV[i + 1])))
  from = to + 1
end
return answers

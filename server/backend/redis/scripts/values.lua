-- The values of a page: it ends with the entry that takes keys and values to so many bytes.
-- KEYS: entries, in order.
-- ARGV: how many bytes of an entry's name stand before its key; the most bytes.
-- Result: for each entry up to that one its value, or nil where it is gone.
local before, most = tonumber(ARGV[1]), tonumber(ARGV[2])
local values, bytes = {}, 0
for i = 1, #KEYS do
  local value = redis.call('GET', KEYS[i])
  values[i] = value
  if value then
    bytes = bytes + #KEYS[i] - before + #value
    if bytes >= most then break end
  end
end
return values

-- The values of a page: it ends with the entry that takes keys and values to so many bytes.
-- KEYS: entries, in order.
-- ARGV: how many bytes of an entry's name stand before its key; the most bytes; the most bytes of a value that is answered itself.
-- Result: for each entry up to that one its value, or how many bytes it has where these are more, or nil where it is gone.
local before, most, inline = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local values, bytes = {}, 0
for i = 1, #KEYS do
  local size = redis.call('STRLEN', KEYS[i])
  values[i] = size > inline and size or redis.call('GET', KEYS[i])
  if values[i] then
    bytes = bytes + #KEYS[i] - before + size
    if bytes >= most then break end
  end
end
return values

-- The values of a page: it ends with the entry that takes keys and values to so many bytes.
-- KEYS: entries, in order. The first 8 bytes of each are its version.
-- ARGV: the number of bytes of an entry's name before its key, the bytes that end the page, and the
-- most bytes of a value that is answered itself.
-- Result: for each entry of the page its string, the number of its value's bytes if these are more,
-- or nil if it is gone.
local before, most, inline = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local values, bytes = {}, 0
for i = 1, #KEYS do
  local size = redis.call('STRLEN', KEYS[i]) - 8
  values[i] = size > inline and size or redis.call('GET', KEYS[i])
  if values[i] then
    bytes = bytes + #KEYS[i] - before + size
    if bytes >= most then break end
  end
end
return values

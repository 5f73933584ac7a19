-- Adds what is there to an index.
-- KEYS: the index, then the names of lists, or of the items of records.
-- ARGV: the number of bytes of a name before its member of the index.
-- Result: nothing.
local first = ARGV[1] + 1
for i = 2, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 1 then redis.call('ZADD', KEYS[1], 0, string.sub(KEYS[i], first)) end
end
return false

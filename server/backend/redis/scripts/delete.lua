-- Deletes entries.
-- KEYS: index, expiry, then each entry.
-- ARGV: how many bytes of an entry's name stand before its member of the index.
-- Result: for each entry 1 where it was there, else 0.
local first = ARGV[1] + 1
local found = {}
for i = 3, #KEYS do
  local member = string.sub(KEYS[i], first)
  found[i - 2] = redis.call('UNLINK', KEYS[i])
  redis.call('ZREM', KEYS[1], member)
  redis.call('ZREM', KEYS[2], member)
end
return found

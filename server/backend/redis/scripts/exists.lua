-- KEYS: entries. ARGV: none.
-- Result: for each entry 1 where it is there, else 0.
local found = {}
for i = 1, #KEYS do
  found[i] = redis.call('EXISTS', KEYS[i])
end
return found

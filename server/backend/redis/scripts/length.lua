-- KEYS: lists. ARGV: none.
-- Result: how long each is; 0 = it is not there; an error where the key is no list.
local lengths = {}
for i = 1, #KEYS do
  lengths[i] = redis.pcall('LLEN', KEYS[i])
end
return lengths

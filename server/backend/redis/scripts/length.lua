-- KEYS: lists. ARGV: none.
-- Result: how long each is; 0 = it is not there.
local lengths = {}
for i = 1, #KEYS do
  lengths[i] = redis.call('LLEN', KEYS[i])
end
return lengths

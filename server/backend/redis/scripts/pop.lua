-- Takes values off lists, one after the other.
-- KEYS: for each value its list.
-- ARGV: for each value LPOP or RPOP.
-- Result: for each the value, or nil where there is none.
local values = {}
for i = 1, #KEYS do
  values[i] = redis.call(ARGV[i], KEYS[i])
end
return values

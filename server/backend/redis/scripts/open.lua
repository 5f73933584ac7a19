-- Claims a shard, or tells who has it.
-- KEYS: layout.
-- ARGV: what the layout has to be.
-- Result: what the layout is, why the server takes no writes ("" = it does), and what it tells of its memory ("" = it does not).
-- Where it is claimed already this writes nothing, and is refused all the same.
local claimed = redis.pcall('SET', KEYS[1], ARGV[1], 'NX')
local layout = redis.call('GET', KEYS[1])
if not layout then return claimed end
local refusal = type(claimed) == 'table' and claimed.err or ''
local memory = redis.pcall('INFO', 'memory')
return { layout, refusal, type(memory) == 'string' and memory or '' }

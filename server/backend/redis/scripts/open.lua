-- Claims a shard, or tells who has it.
-- KEYS: layout.
-- ARGV: what the layout has to be.
-- Result: what the layout is, and what the server tells of its memory ("" = it does not).
redis.call('SET', KEYS[1], ARGV[1], 'NX')
local memory = redis.pcall('INFO', 'memory')
return { redis.call('GET', KEYS[1]), type(memory) == 'string' and memory or '' }

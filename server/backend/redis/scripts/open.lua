-- Claims a shard, or tells who has it.
-- KEYS: layout.
-- ARGV: the expected layout, then every command that the user must be allowed to run. A script that
-- may not run a command would fail half-way.
-- Result: the layout, why the server takes no writes ("" = it takes them), and what the server
-- tells of its memory ("" = nothing).
local missing = {}
for i = 2, #ARGV do
  if not redis.acl_check_cmd(ARGV[i], KEYS[1]) then table.insert(missing, ARGV[i]) end
end
if #missing > 0 then
  return redis.error_reply('NOPERM the user may not run ' .. table.concat(missing, ', '))
end
-- Where it is claimed already this writes nothing, and is refused all the same.
local claimed = redis.pcall('SET', KEYS[1], ARGV[1], 'NX')
local layout = redis.call('GET', KEYS[1])
if not layout then return claimed end
local refusal = type(claimed) == 'table' and claimed.err or ''
local memory = redis.pcall('INFO', 'memory')
return { layout, refusal, type(memory) == 'string' and memory or '' }

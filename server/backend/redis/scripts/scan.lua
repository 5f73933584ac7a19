-- One step over the names of all keys of a server.
-- KEYS: any key of the shard. It says which node of a Cluster is asked.
-- ARGV: where to go on ("0" = at the start), the pattern of the names, and about how many to visit.
-- Result: where the next step goes on ("0" = all were visited), then the names that fit.
local found = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])
table.insert(found[2], 1, found[1])
return found[2]

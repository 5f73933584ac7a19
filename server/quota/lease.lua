-- Leases room of a bucket that several gateways share. It refills by this server's clock.
--
-- Of what comes back each gateway that asked of late has an even share. For one that got less than
-- it wanted its share is kept, so that another which asks more often takes nothing from it.
--
-- KEYS[1]  the bucket, a hash: "room" (tokens), "at" (when, in microseconds), and for each gateway
--          by its name: when it asked, what it did not get then, and until when it has a share.
--          No hash = a full bucket in which nobody has a share.
-- ARGV[1]  the gateway
-- ARGV[2]  tokens that come back in a second
-- ARGV[3]  the most tokens in the bucket
-- ARGV[4]  the tokens that the gateway wants
-- ARGV[5]  the fewest of them that let a call in
-- Result   the tokens that it got (as text), and the number of gateways with a share, it included

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local gateway = ARGV[1]
local rate = tonumber(ARGV[2]) / 1000000
local capacity = tonumber(ARGV[3])
local want = tonumber(ARGV[4])
local need = tonumber(ARGV[5])

local room, at = capacity, now
local others, own = {}, nil
local state = redis.call('HGETALL', KEYS[1])
for i = 1, #state, 2 do
  local field, value = state[i], state[i + 1]
  if field == 'room' then
    room = tonumber(value)
  elseif field == 'at' then
    at = tonumber(value)
  else
    local since, unmet, till = string.match(value, '^(%d+) (%S+) (%d+)$')
    local entry = { since = tonumber(since), unmet = tonumber(unmet) }
    if tonumber(till) < now then
      redis.call('HDEL', KEYS[1], field)
    elseif field == gateway then
      own = entry
    else
      others[#others + 1] = entry
    end
  end
end

local gateways = #others + 1
local function kept_for(entry)
  return math.min(entry.unmet, math.max(0, now - entry.since) * rate / gateways)
end
local kept = 0
for _, other in ipairs(others) do
  kept = kept + kept_for(other)
end
-- What is kept for somebody takes no room in the bucket, else a small one would lose it.
local most = capacity + kept + (own and kept_for(own) or 0)
room = math.min(most, room + math.max(0, now - at) * rate)
local got = math.max(0, math.min(want, room - kept))
room = room - got

-- How long it is waited for: a second more than its share needs to let a call in.
local life = 1000000 + math.max(0, need - got) * gateways / rate
local entry = string.format('%.0f %.9f %.0f', now, want - got, now + life)
redis.call('HSET', KEYS[1], gateway, entry)
redis.call('HSET', KEYS[1], 'room', string.format('%.9f', room), 'at', string.format('%.0f', now))
-- Gone when it would be full and nobody is waited for.
local full = (capacity - room) / rate
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.min(1e12, 2000 + (full + life) / 1000)))
return { string.format('%.9f', got), gateways }

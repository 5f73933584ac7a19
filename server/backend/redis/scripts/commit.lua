-- Makes commits, in their order. Each takes effect whole or not at all, and sees what the earlier
-- ones left.
-- KEYS: index, expiry, version, then each entry that a commit names, once.
-- ARGV: the number of bytes of an entry's name before its member of the index, the commits as JSON,
-- then each value that a commit names. In the JSON `key` is the place of an entry among the entries
-- and `value` that of a value among the values, from 1 on; `delta` and `initial` are decimal text.
-- Result: for each commit one of these lists, or an error if the server has no room for it.
--   "committed", the version (0 = it wrote no entry), then for each mutation what it found, and if
--   it is an `add` also the counter
--   "failed", then for each check that failed its index from 0 on, and if the commit `tells` also
--   what is held: value (nil = there is no entry), version, milliseconds until it expires (0 = never)
--   "not_a_counter" or "counter_overflow", and the index of the mutation from 0 on
-- A script that fails half-way is not undone, so everything is decided before the first write.
local first = ARGV[1] + 1
local commits = cjson.decode(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- What is known of the entries before the first commit, by their places. An entry has `there`,
-- `last` (the last millisecond of its life; nil = it never expires), and where a commit has given
-- them, `value` and `version`.
local found, found_values, found_versions = {}, {}, {}
-- The entries that differ from `found`, after the commits that were decided so far.
local changed = {}
-- The version that was given last.
local given

local function entry_at(place)
  local entry = changed[place] or found[place]
  if not entry then
    -- -1 = it never expires, -2 = there is none. In a script Redis also shows what expired meanwhile.
    local last = redis.call('PEXPIRETIME', KEYS[place + 3])
    entry = { there = last == -1 or last >= now, last = last >= now and last or nil }
    found[place] = entry
  end
  return entry
end

local function value_of(entry, place)
  if entry.value then return entry.value end
  found_values[place] = found_values[place] or string.sub(redis.call('GET', KEYS[place + 3]), 9)
  return found_values[place]
end

local function version_of(entry, place)
  if entry.version then return entry.version end
  found_versions[place] = found_versions[place]
    or struct.unpack('>I8', redis.call('GETRANGE', KEYS[place + 3], 0, 7))
  return found_versions[place]
end

local holds = {}
function holds.absent(_, entry) return not entry.there end
function holds.present(_, entry) return entry.there end
function holds.value(check, entry)
  return entry.there and value_of(entry, check.key) == ARGV[check.value + 2]
end
function holds.version(check, entry)
  return entry.there and version_of(entry, check.key) == check.version
end

-- The two halves of a decimal text: all but its last ten digits, and these. Lua's numbers have 53
-- bits, and a counter has 64.
local function halves_of(text)
  local sign, digits = string.match(text, '^(%-?)(%d+)$')
  local high, low = tonumber(string.sub(digits, 1, -11)) or 0, tonumber(string.sub(digits, -10))
  if sign == '-' then return -high, -low end
  return high, low
end

-- The sum of two decimal texts; nil = it has more than 64 bits.
local function sum_of(text, delta)
  local high, low = halves_of(text)
  local high_delta, low_delta = halves_of(delta)
  high, low = high + high_delta, low + low_delta
  -- Both halves get one sign, and the low one ten digits.
  local carry = math.floor(low / 1e10)
  high, low = high + carry, low - carry * 1e10
  if high < 0 and low > 0 then high, low = high + 1, low - 1e10 end
  if high > 922337203 or high == 922337203 and low > 6854775807 then return nil end
  if high < -922337203 or high == -922337203 and low < -6854775808 then return nil end
  if high == 0 then return string.format('%.0f', low) end
  return string.format('%.0f%010.0f', high, math.abs(low))
end

local function is_counter(text)
  return #text <= 20 and (text == '0' or string.find(text, '^%-?[1-9]%d*$')) and sum_of(text, '0')
end

local function last_of(ttl)
  -- Redis still shows a key in its last millisecond (see set.lua).
  return ttl > 0 and now + math.ceil(ttl) - 1 or nil
end

-- Each answers the entry that a mutation leaves, the same one if it changes nothing. `add` answers
-- the counter too, or nil and why it cannot.
local mutate = {}
function mutate.set(mutation)
  return { there = true, value = ARGV[mutation.value + 2], last = last_of(mutation.ttlMs) }
end
function mutate.replace(mutation, entry)
  return { there = true, value = ARGV[mutation.value + 2], last = entry.last }
end
function mutate.delete(_, entry) return entry.there and { there = false } or entry end
function mutate.expire(mutation, entry)
  if not entry.there then return entry end
  return { there = true, value = entry.value, last = last_of(mutation.ttlMs) }
end
function mutate.persist(_, entry)
  return entry.last and { there = true, value = entry.value } or entry
end
function mutate.add(mutation, entry)
  local start = entry.there and value_of(entry, mutation.key) or mutation.initial
  if entry.there and not is_counter(start) then return nil, 'not_a_counter' end
  local counter = sum_of(start, mutation.delta)
  if not counter then return nil, 'counter_overflow' end
  local last = entry.last
  if not entry.there then last = last_of(mutation.ttlMs) end
  return { there = true, value = counter, last = last }, counter
end

local function failed_checks(commit)
  local answer = { 'failed' }
  for i, check in ipairs(commit.checks) do
    local place = check.key
    local entry = entry_at(place)
    if not holds[check.is](check, entry) then
      table.insert(answer, i - 1)
      if commit.tells then
        table.insert(answer, entry.there and value_of(entry, place))
        table.insert(answer, entry.there and version_of(entry, place) or 0)
        table.insert(answer, entry.last and entry.last + 1 - now or 0)
      end
    end
  end
  return answer
end

-- The answer to a commit. `refusal`: the answer if it would write an entry; nil = it may.
local function decide(commit, refusal)
  local failed = failed_checks(commit)
  if #failed > 1 then return failed end
  local answer, left = { 'committed', 0 }, {}
  for i, mutation in ipairs(commit.mutations) do
    local place = mutation.key
    local before = left[place] or entry_at(place)
    local after, counter = mutate[mutation['do']](mutation, before)
    if not after then return { counter, i - 1 } end
    table.insert(answer, not before.there and 'absent' or before.last and 'expiring' or 'lasting')
    table.insert(answer, counter)
    if after ~= before then left[place] = after end
  end
  for _, entry in pairs(left) do
    if entry.there then
      if refusal then return refusal end
      if answer[2] == 0 then
        -- As in set.lua, with one more for each commit.
        given = given or math.max(redis.call('GET', KEYS[3]) or 0, time[1] * 1000000 + time[2] - 1)
        given = given + 1
        answer[2] = given
      end
      entry.version = given
    end
  end
  for place, entry in pairs(left) do changed[place] = entry end
  return answer
end

local function decide_all(refusal)
  changed, given = {}, nil
  local answers = {}
  for i, commit in ipairs(commits) do answers[i] = decide(commit, refusal) end
  return answers
end

local function write(name, before, after)
  local index, expiry, member = KEYS[1], KEYS[2], string.sub(name, first)
  if not after.there then
    if before.there then
      redis.call('UNLINK', name)
      redis.call('ZREM', index, member)
      redis.call('ZREM', expiry, member)
    end
    return
  end
  local head = struct.pack('>I8', after.version)
  local last = after.last and string.format('%.0f', after.last)
  if after.value then
    if last then
      redis.call('SET', name, head .. after.value, 'PXAT', last)
    else
      redis.call('SET', name, head .. after.value)
    end
  else
    redis.call('SETRANGE', name, 0, head)
    if last then
      redis.call('PEXPIREAT', name, last)
    else
      redis.call('PERSIST', name)
    end
  end
  if not before.there then redis.call('ZADD', index, 0, member) end
  if last then
    redis.call('ZADD', expiry, last, member)
  elseif before.last or not before.there then
    redis.call('ZREM', expiry, member)
  end
end

local answers = decide_all(nil)
if given then
  local kept = redis.pcall('SET', KEYS[3], string.format('%.0f', given))
  if kept.err then
    if string.sub(kept.err, 1, 3) ~= 'OOM' then return kept end
    -- A full server still takes deletes.
    answers = decide_all(kept)
  end
end
for place = 1, #KEYS - 3 do
  if changed[place] then write(KEYS[place + 3], found[place], changed[place]) end
end
return answers

-- Makes commits, in their order. Each takes effect whole or not at all, and sees what the earlier
-- ones left.
-- KEYS: index, expiry, version, then for each check and each mutation its entry.
-- ARGV: the number of bytes of an entry's name before its member of the index, then the commits. A
-- commit is `commit` or `tell` (a failed check tells what is held), its checks, then its mutations.
-- Each of these is its kind, and what follows it:
--   absent, present, value VALUE, version VERSION
--   set VALUE TTL, replace VALUE, delete, add DELTA INITIAL TTL, expire TTL, persist
-- A TTL is in milliseconds, and 0 = for ever. DELTA and INITIAL are decimal text of 64 bits.
-- Result: for each commit one of these lists, or an error if the server has no room for it.
--   the version (0 = it wrote no entry), then for each mutation what it found (0 = no entry,
--     1 = one that never expires, 2 = one that does), and for an `add` also the counter
--   "failed", then for each check that failed its index from 0 on, and after `tell` also what is
--     held: value (nil = there is no entry), version, milliseconds until it expires (0 = never)
--   "not_a_counter" or "counter_overflow", and the index of the mutation from 0 on
-- A script that fails half-way is not undone, so everything is decided before the first write.
local first = ARGV[1] + 1
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- An entry is its `last`: the last millisecond of its life, or one of these, as PEXPIRETIME has it.
local LASTING, ABSENT = -1, -2

-- By the entry's name: what Redis holds, read when somebody asks.
local found_lasts, found_values, found_versions = {}, {}, {}
-- What the commits that were decided so far leave. No value or version = it is still the found one.
local lasts, values, versions
-- The names of the entries that they change.
local changed
-- What the commit that is being decided changes: how many, and of each the name and what was there.
local steps, step_names, step_lasts, step_values = 0, {}, {}, {}
-- The version that was given last.
local given
-- Where the next entry stands in KEYS, and the next part of a commit in ARGV.
local key, at

local function last_of(name)
  local last = lasts[name] or found_lasts[name]
  if not last then
    last = redis.call('PEXPIRETIME', name)
    -- In a script Redis also shows what expired meanwhile.
    if last >= 0 and last < now then last = ABSENT end
    found_lasts[name] = last
  end
  return last
end

local function value_of(name)
  if values[name] then return values[name] end
  found_values[name] = found_values[name] or string.sub(redis.call('GET', name), 9)
  return found_values[name]
end

local function version_of(name)
  if versions[name] then return versions[name] end
  found_versions[name] = found_versions[name]
    or struct.unpack('>I8', redis.call('GETRANGE', name, 0, 7))
  return found_versions[name]
end

-- How many arguments follow a kind; absent = none.
local operands = { value = 1, version = 1, set = 2, replace = 1, add = 3, expire = 1 }

-- Each tells whether a check of an entry holds. Its operand is ARGV[at + 1].
local holds = {}
function holds.absent(last) return last == ABSENT end
function holds.present(last) return last ~= ABSENT end
function holds.value(last, name) return last ~= ABSENT and value_of(name) == ARGV[at + 1] end
function holds.version(last, name)
  return last ~= ABSENT and version_of(name) == tonumber(ARGV[at + 1])
end

-- The two halves of a decimal text: all but its last ten digits, and these.
local function halves_of(text)
  local sign, digits = string.match(text, '^(%-?)(%d+)$')
  local high, low = tonumber(string.sub(digits, 1, -11)) or 0, tonumber(string.sub(digits, -10))
  if sign == '-' then return -high, -low end
  return high, low
end

-- The sum of two decimal texts; nil = it has more than 64 bits. Lua's numbers have 53.
local function sum_of(text, delta)
  if #text < 16 and #delta < 16 then return string.format('%.0f', text + delta) end
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
  return #text < 21 and (text == '0' or string.find(text, '^%-?[1-9]%d*$'))
    and (#text < 19 or sum_of(text, '0'))
end

-- The last millisecond of an entry with this time to live. Redis still shows a key in it (see
-- set.lua).
local function last_after(ttl)
  if ttl == '0' then return LASTING end
  return now + ttl - 1
end

-- Each answers `last` and value of the entry that a mutation leaves (no value = it stays), nothing
-- if it changes nothing, or false and why it cannot. Operands are from ARGV[at + 1] on.
local mutate = {}
function mutate.set() return last_after(ARGV[at + 2]), ARGV[at + 1] end
function mutate.replace(last) return last == ABSENT and LASTING or last, ARGV[at + 1] end
function mutate.delete(last)
  if last ~= ABSENT then return ABSENT end
end
function mutate.expire(last, name)
  if last ~= ABSENT then return last_after(ARGV[at + 1]), values[name] end
end
function mutate.persist(last, name)
  if last >= 0 then return LASTING, values[name] end
end
function mutate.add(last, name)
  local start = last == ABSENT and ARGV[at + 2] or value_of(name)
  if last ~= ABSENT and not is_counter(start) then return false, 'not_a_counter' end
  local counter = sum_of(start, ARGV[at + 1])
  if not counter then return false, 'counter_overflow' end
  return last == ABSENT and last_after(ARGV[at + 3]) or last, counter
end

local function go_on()
  key, at = key + 1, at + 1 + (operands[ARGV[at]] or 0)
end

-- The answer to a commit whose checks do not hold; nil = they do.
local function failed_checks(tells)
  local answer, index = nil, 0
  while holds[ARGV[at]] do
    local name = KEYS[key]
    local last = last_of(name)
    if not holds[ARGV[at]](last, name) then
      answer = answer or { 'failed' }
      table.insert(answer, index)
      if tells then
        table.insert(answer, last ~= ABSENT and value_of(name))
        table.insert(answer, last ~= ABSENT and version_of(name) or 0)
        table.insert(answer, last >= 0 and last + 1 - now or 0)
      end
    end
    go_on()
    index = index + 1
  end
  return answer
end

-- Makes the mutations of a commit. The answer to them, still without the version; true in second
-- place = they are refused.
local function make_mutations()
  local answer, index, refused = { 0 }, 0, false
  while mutate[ARGV[at]] do
    if not refused then
      local kind, name = ARGV[at], KEYS[key]
      local last = last_of(name)
      local left, value = mutate[kind](last, name)
      if left == false then
        answer, refused = { value, index }, true
      else
        table.insert(answer, last == ABSENT and 0 or last == LASTING and 1 or 2)
        if kind == 'add' then table.insert(answer, value) end
      end
      if left then
        steps = steps + 1
        step_names[steps], step_lasts[steps], step_values[steps] = name, last, values[name] or false
        lasts[name], values[name] = left, value
      end
    end
    go_on()
    index = index + 1
  end
  return answer, refused
end

local function undo_mutations()
  for i = steps, 1, -1 do
    lasts[step_names[i]], values[step_names[i]] = step_lasts[i], step_values[i] or nil
  end
end

local function writes_entry()
  for i = 1, steps do
    if lasts[step_names[i]] ~= ABSENT then return true end
  end
  return false
end

-- Decides the next commit. `full`: the answer if it would write an entry; nil = it may.
local function decide(full)
  local tells = ARGV[at] == 'tell'
  at, steps = at + 1, 0
  local failed = failed_checks(tells)
  if failed then
    while mutate[ARGV[at]] do go_on() end
    return failed
  end
  local answer, refused = make_mutations()
  local writes = not refused and writes_entry()
  if refused or full and writes then
    undo_mutations()
    return refused and answer or full
  end
  if writes then
    -- As in set.lua, with one more for each commit.
    given = given or math.max(redis.call('GET', KEYS[3]) or 0, time[1] * 1000000 + time[2] - 1)
    given = given + 1
    answer[1] = given
  end
  for i = 1, steps do
    changed[step_names[i]], versions[step_names[i]] = true, given
  end
  return answer
end

local function decide_all(full)
  lasts, values, versions, changed, given, key, at = {}, {}, {}, {}, nil, 4, 2
  local answers = {}
  while at <= #ARGV do table.insert(answers, decide(full)) end
  return answers
end

local function write(name)
  local index, expiry, member = KEYS[1], KEYS[2], string.sub(name, first)
  local before, last, value = found_lasts[name], lasts[name], values[name]
  if last == ABSENT then
    if before ~= ABSENT then
      redis.call('UNLINK', name)
      redis.call('ZREM', index, member)
      redis.call('ZREM', expiry, member)
    end
    return
  end
  local head, deadline = struct.pack('>I8', versions[name]), string.format('%.0f', last)
  if value and last == LASTING then
    redis.call('SET', name, head .. value)
  elseif value then
    redis.call('SET', name, head .. value, 'PXAT', deadline)
  else
    redis.call('SETRANGE', name, 0, head)
    if last == LASTING then
      redis.call('PERSIST', name)
    else
      redis.call('PEXPIREAT', name, deadline)
    end
  end
  if before == ABSENT then redis.call('ZADD', index, 0, member) end
  if last ~= LASTING then
    redis.call('ZADD', expiry, deadline, member)
  elseif before ~= LASTING then
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
for name in pairs(changed) do write(name) end
return answers

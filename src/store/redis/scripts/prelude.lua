-- What all scripts begin with. Keys: the state, the subjects, the stream, and where the stream
-- ends.
local state, subjects, stream, last = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
-- A nonce of this call, the same if it is made again; the caller's time in milliseconds; how long the stream reaches back, in
-- seconds; what tells the caller's secret; whether the nodes are to say at once that they have read it.
local nonce, now, retention, probe, wanted = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5]
local prefix = string.sub(state, 1, -1 - string.len(':revoked'))
local time = redis.call('TIME')
local server = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
-- Of two clocks the one that is behind: what is dropped too late does no harm.
local earlier = math.min(server, now)
local leeway = 300000
local appended = 0

local secret = redis.call('GET', prefix .. ':secret')
if not secret then
  -- The key may be gone, and the state still be that of others.
  secret = redis.call('HGET', subjects, '') or probe
  if secret == probe then redis.call('SET', prefix .. ':secret', probe) end
end
if secret ~= probe then
  return redis.error_reply('OTHERSECRET the keys belong to nodes with another secret')
end

-- Names a process of a server and the history that it replicates. The name changes with each start,
-- and with each promotion.
local function process()
  local info = redis.call('INFO', 'server', 'replication')
  return string.match(info, 'run_id:(%w+)') .. ':' .. (string.match(info, 'master_replid:(%w+)') or '')
end

local function whole(number)
  return string.format('%.0f', number)
end

local function digest(length, ...)
  return string.sub(redis.sha1hex(table.concat({ ... }, '\0')), 1, length)
end

-- Where the stream ends: the hash of the last entry. Two checkpoints: the stream's last id, twice
-- taken. The age of the newer checkpoint, and when that was counted, in milliseconds.
--
-- The state and the subjects each hold an empty member that nobody removes. If one is missing, or
-- the hash is, then a key is gone. What it held may be missing here, so the history begins anew:
-- the nodes read the state, and write back what they hold.
local tail
local function open()
  if tail then return tail end
  local hash, older, newer, age, counted = unpack(redis.call('HMGET', last, 'hash', 'older', 'newer', 'age', 'counted'))
  local stands = hash and redis.call('ZSCORE', state, '') and redis.call('HEXISTS', subjects, '') == 1
  if not stands then
    hash = digest(16, hash or '', nonce, time[1], time[2], process())
    redis.call('ZADD', state, '+inf', '')
    redis.call('HSET', subjects, '', probe)
    redis.call('HSET', last, 'hash', hash)
  end
  tail = { hash = hash, older = older or '0-0', newer = newer or '0-0', age = tonumber(age or 0), counted = tonumber(counted or server) }
  -- Ids of a stream that is gone may be higher than those of the next.
  if redis.call('EXISTS', stream) == 0 then
    tail.older, tail.newer = '0-0', '0-0'
    redis.call('HSET', last, 'older', '0-0', 'newer', '0-0')
  end
  return tail
end

-- Appends an entry, and answers its tag: the nonce, and a hash over the entry and the hash of the
-- one before. So equal hashes mean equal histories, on whatever server, and a call that is made
-- again gets another tag unless all that came before it is the same. An entry without members says
-- nothing: whoever reads it knows that all before it was kept.
--
-- The stream is trimmed at the older checkpoint. That is older than the retention by time that has
-- passed, whatever the clock says.
local function append(...)
  local at = open()
  appended = appended + 1
  local before = at.hash
  at.hash = digest(16, before, nonce, whole(appended), wanted, ...)
  at.age, at.counted = at.age + math.max(server - at.counted, 0), server
  if at.age >= retention * 1000 then
    local newest = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
    at.older, at.newer, at.age = at.newer, newest and newest[1] or '0-0', 0
    redis.call('HSET', last, 'older', at.older, 'newer', at.newer)
  end
  redis.call('HSET', last, 'hash', at.hash, 'age', whole(at.age), 'counted', whole(at.counted))
  local tag = nonce .. at.hash
  redis.call('XADD', stream, 'MINID', '~', at.older, '*', 'p', before, 'n', tag, 'w', wanted, ...)
  return tag
end

local function prune()
  local dead = redis.call('ZRANGE', state, '-inf', whole((earlier - leeway) / 1000 - 128), 'BYSCORE', 'LIMIT', 0, 100)
  if #dead > 0 then redis.call('ZREM', state, unpack(dead)) end
end

-- A member of an entry. Ours have their tag, 'n', and the hash of the one before, 'p'.
local function member(entry, name)
  for index = 1, #entry[2], 2 do
    if entry[2][index] == name then return entry[2][index + 1] end
  end
end

-- until: in seconds.
local function revoke(member, till)
  redis.call('ZADD', state, 'GT', till, member)
  return append('z', member, 's', till)
end

-- A subject: generation, until when tokens of earlier ones may live, whether it is blocked, when it was last blocked or that was
-- lifted, how often it was changed, and the tags of the last 24 changes, the newest first. A tag is
-- a hash over the change and the tags before it: equal tags mean equal histories of the subject, on
-- whatever server.
local function parse(text)
  local g, t, b, c, n, tags = string.match(text, '^(%d+):(%d+):(%d):(%d+):(%d+):(.*)$')
  if not g then return nil end
  return { g = tonumber(g), t = tonumber(t), b = tonumber(b), c = tonumber(c), n = tonumber(n), tags = tags }
end

local function subject(field)
  local text = redis.call('HGET', subjects, field)
  if not text then return { g = 0, t = 0, b = 0, c = 0, n = 0, tags = '' } end
  return parse(text) or error('a subject that another program has written')
end

local function record(s)
  return table.concat({ whole(s.g), whole(s.t), whole(s.b), whole(s.c), whole(s.n), s.tags }, ':')
end

local function newest(s)
  return string.sub(s.tags, 1, 8)
end

-- Of these tags as many as fit below the newest one.
local function older_tags(tags)
  return string.sub(tags, 1, 206)
end

local function tag_of(s, older)
  return digest(8, older, nonce, whole(s.g), whole(s.t), whole(s.b), whole(s.c), whole(s.n))
end

-- Whether the last change is the one that this call makes: then it was made already, and the answer was lost.
local function is_done(s)
  return newest(s) == tag_of(s, string.sub(s.tags, 10))
end

-- Keeps a subject that has changed, and tells the nodes.
local function keep(field, s)
  s.n = s.n + 1
  local older = older_tags(s.tags)
  s.tags = tag_of(s, older) .. ',' .. older
  local text = record(s)
  redis.call('HSET', subjects, field, text)
  return append('u', field, 'r', text)
end

-- Says what a subject is that has changed.
local function changed(field, s)
  return { keep(field, s), record(s), 1 }
end

-- Says what a subject is that needed no change. The caller learns it all the same, so it must read
-- that it was kept: hence an entry that says nothing. `done`: whether the caller has changed it
-- before.
local function unchanged(s, done)
  return { append(), record(s), done and 1 or 0 }
end

local function hex(bytes)
  return (string.gsub(bytes, '.', function(byte) return string.format('%02x', string.byte(byte)) end))
end

local function session_key(sid)
  return prefix .. ':session:' .. sid
end

local function list_key(field)
  return prefix .. ':sessions:' .. hex(field)
end

-- A date is 12 digits of seconds and 9 of nanoseconds: as texts they compare like numbers, and no digit is lost.
local function seconds_up(date)
  local seconds, nanoseconds = tonumber(string.sub(date, 1, 12)), tonumber(string.sub(date, 13))
  if nanoseconds > 0 then seconds = seconds + 1 end
  return seconds
end

local function nanoseconds_between(date, later)
  local part = function(from, to) return tonumber(string.sub(later, from, to)) - tonumber(string.sub(date, from, to)) end
  return part(1, 12) * 1000000000 + part(13, 21)
end

local function first(date, other)
  if other < date then return other end
  return date
end

local function latest(date, other)
  if other > date then return other end
  return date
end

-- Keeps a session, and that its subject has it, until its access tokens are dead for every verifier.
local function expire(sid, field, idle, expires, access)
  local ends = math.max(seconds_up(first(idle, expires)), seconds_up(access) + leeway / 1000) * 1000
  local left = math.max(ends - now, 1)
  redis.call('PEXPIRE', session_key(sid), whole(left))
  redis.call('ZADD', list_key(field), 'GT', whole(ends), sid)
  if redis.call('PTTL', list_key(field)) < left then
    redis.call('PEXPIRE', list_key(field), whole(left))
  end
end

-- Ends all sessions of a subject. The latest end of an access token of theirs, in seconds.
local function end_all(field)
  local till = 0
  for _, sid in ipairs(redis.call('ZRANGE', list_key(field), 0, -1)) do
    local access = redis.call('HGET', session_key(sid), 'x')
    if access then till = math.max(till, seconds_up(access)) end
    redis.call('DEL', session_key(sid))
  end
  redis.call('DEL', list_key(field))
  return till
end

local function raise(field, s, longest)
  s.g = s.g + 1
  s.t = math.max(s.t, end_all(field), math.ceil(now / 1000) + longest)
end

prune()

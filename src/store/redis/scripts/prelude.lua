-- What follows `header.lua` in every script that changes or reads sessions and revocations.
--
-- How long the stream keeps entries, in seconds. Whether the nodes send a heartbeat when they read
-- the entry: '1' or ''.
local retention, requests_heartbeats = tonumber(ARGV[3]), ARGV[5]
-- The largest leeway of a verifier, in milliseconds.
local leeway = 300000
local appended = 0

-- Names a process of a server, and the history that it replicates. The name changes with each
-- start and with each promotion.
local function process()
  local info = redis.call('INFO', 'server', 'replication')
  local replication_id = string.match(info, 'master_replid:(%w+)') or ''
  return string.match(info, 'run_id:(%w+)') .. ':' .. replication_id
end

local function digest(length, ...)
  return string.sub(redis.sha1hex(table.concat({ ... }, '\0')), 1, length)
end

-- Reads the end of the stream. `hash`: of the last entry. `older` and `newer`: two checkpoints,
-- each the last ID of the stream at that time. `age`: of the newer checkpoint, in milliseconds.
-- `counted`: when the age was updated.
--
-- The revocations and the subjects each have an empty member. If one is missing, or the hash is, a
-- key was deleted. Then a new history starts: the nodes load the state, and write back what they
-- know.
local tail
local function open()
  if tail then return tail end
  local values = redis.call('HMGET', last, 'hash', 'older', 'newer', 'age', 'counted')
  local hash, older, newer, age, counted = unpack(values)
  local is_whole = hash and redis.call('ZSCORE', revoked, '')
    and redis.call('HEXISTS', subjects, '') == 1
  if not is_whole then
    hash = digest(16, hash or '', nonce, time[1], time[2], process())
    redis.call('ZADD', revoked, '+inf', '')
    redis.call('HSET', subjects, '', check_value)
    redis.call('HSET', last, 'hash', hash)
  end
  tail = {
    hash = hash,
    older = older or '0-0',
    newer = newer or '0-0',
    age = tonumber(age or 0),
    counted = tonumber(counted or server),
  }
  -- The IDs of a deleted stream may be higher than those of the next stream.
  if redis.call('EXISTS', stream) == 0 then
    tail.older, tail.newer = '0-0', '0-0'
    redis.call('HSET', last, 'older', '0-0', 'newer', '0-0')
  end
  return tail
end

-- Appends an entry with these fields, and returns its tag: the nonce, and a hash over the entry and
-- the hash of the entry before it. Equal hashes therefore mean equal histories, on every server. A
-- repeated call gets another tag, unless everything before it is the same.
--
-- An entry that requests heartbeats names the process of the server, as `q`.
--
-- An entry without fields changes nothing. A node that reads it knows that the server kept
-- everything before it.
--
-- The stream is trimmed at the older checkpoint. Its age is the sum of time that has passed, so a
-- clock that is set does not make it older than it is.
local function append(...)
  local at = open()
  appended = appended + 1
  local before = at.hash
  at.hash = digest(16, before, nonce, whole(appended), requests_heartbeats, ...)
  at.age, at.counted = at.age + math.max(server - at.counted, 0), server
  if at.age >= retention * 1000 then
    local newest = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
    at.older, at.newer, at.age = at.newer, newest and newest[1] or '0-0', 0
    redis.call('HSET', last, 'older', at.older, 'newer', at.newer)
  end
  redis.call('HSET', last, 'hash', at.hash, 'age', whole(at.age), 'counted', whole(at.counted))
  local tag = nonce .. at.hash
  local fields = { ... }
  if requests_heartbeats == '1' then
    table.insert(fields, 'q')
    table.insert(fields, process())
  end
  redis.call('XADD', stream, 'MINID', '~', at.older, '*', 'p', before, 'n', tag,
    'w', requests_heartbeats, unpack(fields))
  return tag
end

-- Removes up to 100 revocations that have expired.
local function prune()
  local before = whole((earlier - leeway) / 1000 - 128)
  local expired = redis.call('ZRANGE', revoked, '-inf', before, 'BYSCORE', 'LIMIT', 0, 100)
  if #expired > 0 then redis.call('ZREM', revoked, unpack(expired)) end
end

-- A field of a stream entry. All entries of the nodes have 'n', their tag, and 'p', the hash of the
-- entry before.
local function entry_field(entry, name)
  for index = 1, #entry[2], 2 do
    if entry[2][index] == name then return entry[2][index + 1] end
  end
end

-- `till`: in seconds.
local function revoke(member, till)
  redis.call('ZADD', revoked, 'GT', till, member)
  return append('z', member, 's', till)
end

-- Parses the record of a subject:
--
-- e: the access epoch
-- t: the end of the last token of a lower access epoch, in seconds
-- b: whether the subject is blocked, 1 or 0
-- c: when it was last blocked or unblocked, in seconds
-- n: the number of changes
-- g: the generation of the sessions
-- tags: the tags of the last 24 changes, the newest first
--
-- A tag is a hash over the change and the tags before it. Equal tags therefore mean equal histories
-- of the subject, on every server.
local function parse(text)
  local e, t, b, c, n, g, tags = string.match(text, '^(%d+):(%d+):(%d):(%d+):(%d+):(%d+):(.*)$')
  if not e then return nil end
  return {
    e = tonumber(e), t = tonumber(t), b = tonumber(b), c = tonumber(c), n = tonumber(n),
    g = tonumber(g), tags = tags,
  }
end

local function subject(field)
  local text = redis.call('HGET', subjects, field)
  if not text then return { e = 0, t = 0, b = 0, c = 0, n = 0, g = 0, tags = '' } end
  return parse(text) or error('a subject that another program has written')
end

local function numbers(s)
  return whole(s.e), whole(s.t), whole(s.b), whole(s.c), whole(s.n), whole(s.g)
end

local function record(s)
  return table.concat({ numbers(s) }, ':') .. ':' .. s.tags
end

local function newest(s)
  return string.sub(s.tags, 1, 8)
end

-- The 23 tags that are kept after a new one.
local function older_tags(tags)
  return string.sub(tags, 1, 206)
end

local function tag_of(s, older)
  return digest(8, older, nonce, numbers(s))
end

-- Whether this call made the last change already, and is repeated because its answer was lost.
local function is_done(s)
  return newest(s) == tag_of(s, string.sub(s.tags, 10))
end

-- Writes a changed subject, and appends it to the stream.
local function keep(field, s)
  s.n = s.n + 1
  local older = older_tags(s.tags)
  s.tags = tag_of(s, older) .. ',' .. older
  local text = record(s)
  redis.call('HSET', subjects, field, text)
  return append('u', field, 'r', text)
end

-- Writes a changed subject. Answers the tag of the entry, the record and 1.
local function changed(field, s)
  return { keep(field, s), record(s), 1 }
end

-- The answer for a subject that needs no change. The record may be new to the caller, which must
-- read that the server kept it: hence an empty entry. `done`: whether an earlier run of this call
-- changed the subject.
local function unchanged(s, done)
  return { append(), record(s), done and 1 or 0 }
end

local function hex(bytes)
  return (string.gsub(bytes, '.', function(byte)
    return string.format('%02x', string.byte(byte))
  end))
end

local function session_key(sid)
  return prefix .. ':session:' .. sid
end

local function list_key(field)
  return prefix .. ':sessions:' .. hex(field)
end

local function delete_session(sid, field)
  redis.call('DEL', session_key(sid))
  redis.call('ZREM', list_key(field), sid)
end

-- Dates have 12 digits of seconds and 9 of nanoseconds. As text they have the order of numbers, and
-- no digit is lost.
local function seconds_up(date)
  local seconds, nanoseconds = tonumber(string.sub(date, 1, 12)), tonumber(string.sub(date, 13))
  if nanoseconds > 0 then seconds = seconds + 1 end
  return seconds
end

-- Whether a session was revoked: the server has lost its end, and a node has written it back. Then
-- this deletes the session, which would live again once the revocation has expired. It may have
-- been refreshed meanwhile, so the revocation lasts as long as its last access token.
--
-- A session of another generation has ended too, but is kept. The server may have lost the record
-- of its subject, and a node may be about to write it back.
local function is_revoked(sid, field, member)
  local ended = redis.call('ZSCORE', revoked, member)
  if not ended then return false end
  local access = redis.call('HGET', session_key(sid), 'x')
  if access and seconds_up(access) > tonumber(ended) then
    revoke(member, whole(seconds_up(access)))
  end
  delete_session(sid, field)
  return true
end

-- The `sid`s of the sessions of a subject that have not ended. They may have expired. `s`: the
-- record of the subject.
local function live_sessions(field, s)
  local live = {}
  for _, sid in ipairs(redis.call('ZRANGE', list_key(field), 0, -1)) do
    local member, generation = unpack(redis.call('HMGET', session_key(sid), 'm', 'g'))
    if not member then
      redis.call('ZREM', list_key(field), sid)
    elseif not is_revoked(sid, field, member) and tonumber(generation) == s.g then
      table.insert(live, sid)
    end
  end
  return live
end

local function nanoseconds_between(date, later)
  local part = function(from, to)
    return tonumber(string.sub(later, from, to)) - tonumber(string.sub(date, from, to))
  end
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

-- Sets when the keys of a session expire: once no verifier accepts its access tokens any more. Adds
-- the session to the list of its subject.
local function expire(sid, field, idle, expires, access)
  local access_end = seconds_up(access) + leeway / 1000
  local ends = math.max(seconds_up(first(idle, expires)), access_end) * 1000
  local left = math.max(ends - now, 1)
  redis.call('PEXPIRE', session_key(sid), whole(left))
  redis.call('ZADD', list_key(field), 'GT', whole(ends), sid)
  if redis.call('PTTL', list_key(field)) < left then
    redis.call('PEXPIRE', list_key(field), whole(left))
  end
end

-- The end of the last access token of a subject, in seconds, and the highest access epoch of one.
-- That is above the epoch of the record if the server has lost the record.
local function latest_access(field)
  local till, epoch = 0, 0
  for _, sid in ipairs(redis.call('ZRANGE', list_key(field), 0, -1)) do
    local access, of = unpack(redis.call('HMGET', session_key(sid), 'x', 'p'))
    if access then
      till, epoch = math.max(till, seconds_up(access)), math.max(epoch, tonumber(of))
    end
  end
  return till, epoch
end

-- Ends all sessions of a subject, except `kept`.
local function end_all(field, kept)
  for _, sid in ipairs(redis.call('ZRANGE', list_key(field), 0, -1)) do
    if sid ~= kept then delete_session(sid, field) end
  end
end

-- Raises the access epoch. `longest`: the longest lifetime of a token, in seconds.
local function raise_epoch(field, s, longest)
  local till, epoch = latest_access(field)
  s.e = math.max(s.e, epoch) + 1
  s.t = math.max(s.t, till, math.ceil(now / 1000) + longest)
end

-- Raises the access epoch and the generation, and ends all sessions, except `kept`.
local function raise(field, s, longest, kept)
  raise_epoch(field, s, longest)
  s.g = s.e
  end_all(field, kept)
end

prune()

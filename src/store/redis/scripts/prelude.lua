-- What all scripts begin with. Keys: the state, the subjects, the stream, the tag of the stream's last entry.
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
  redis.call('SET', prefix .. ':secret', probe)
elseif secret ~= probe then
  return redis.error_reply('OTHERSECRET the keys belong to nodes with another secret')
end

-- Which process of a server this is: another one for each start, and for each server that takes another's place.
local function process()
  return string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
end

local function whole(number)
  return string.format('%.0f', number)
end

-- Each entry names the one before it, so that a reader notices whatever is missing.
local function append(...)
  appended = appended + 1
  local own = nonce .. whole(appended)
  local before = redis.call('GET', last) or ''
  redis.call('SET', last, own)
  local since = whole(math.max(server - retention * 1000, 0))
  return redis.call('XADD', stream, 'MINID', '~', since, '*', 'p', before, 'n', own, 'w', wanted, ...)
end

local function prune()
  local dead = redis.call('ZRANGE', state, '-inf', whole((earlier - leeway) / 1000 - 128), 'BYSCORE', 'LIMIT', 0, 100)
  if #dead > 0 then redis.call('ZREM', state, unpack(dead)) end
end

-- A member of an entry. Ours have their tag, 'n', and that of the one before, 'p'.
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
-- lifted, how often it was changed, and the tags of the last 24 changes, the newest first.
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

-- Whether the last change is the one that this call makes: then it was made already, and the answer was lost.
local function is_done(s)
  return newest(s) == string.sub(nonce, 1, 8)
end

-- Keeps a subject that has changed, tells the nodes, and says what it is now.
local function keep(field, s)
  s.n = s.n + 1
  s.tags = string.sub(string.sub(nonce, 1, 8) .. ',' .. s.tags, 1, 215)
  local text = record(s)
  redis.call('HSET', subjects, field, text)
  return { append('u', field, 'r', text), text }
end

-- Says what a subject is that needed no change. Who waits for the nodes waits for an entry that says nothing.
local function unchanged(s)
  return { wanted == '1' and append(), record(s) }
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

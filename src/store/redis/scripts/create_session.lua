-- Creates a session, by the rules of `Session::create`.
-- Arguments: the field of the subject, the `sid`, the generation, the access epoch, when it expires
-- if idle, when at the latest, `exp` of the access token, the limit, empty for none, what happens
-- beyond it, 'end oldest' or 'reject login', when the session begins, the member that revokes it,
-- and the fields of the hash. This adds 't', the server's time of the last rotation, and 'u', the
-- field of the subject.
--
-- Answers the outcome. If the limit ended sessions, also pairs of their `sid` and the end of their
-- revocation, as text, and the tag of the last entry.
local field, sid, generation, epoch = ARGV[6], ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9])
local limit, action, present, member = tonumber(ARGV[13]), ARGV[14], ARGV[15], ARGV[16]
local s = subject(field)
if s.b == 1 then return { 'blocked' } end
if s.g ~= generation then return { 'logged out' } end
if s.e ~= epoch then return { 'outdated' } end
-- An earlier run of this call created it, and its answer was lost. Another call has ended it since.
if redis.call('ZSCORE', revoked, member) then return { 'created' } end

-- The sessions that are too many, the least recently refreshed first.
local function excess()
  local others = {}
  for _, other in ipairs(live_sessions(field, s)) do
    local fields = redis.call('HMGET', session_key(other), 'r', 'd', 'e', 'x', 'm')
    local r, d, e, x, m = unpack(fields)
    if other ~= sid and present < d and present < e then
      table.insert(others, { sid = other, r = r, x = x, m = m })
    end
  end
  table.sort(others, function(one, other) return one.r < other.r end)
  return others, #others - math.max(limit - 1, 0)
end

local ended, tag = {}, nil
-- For a repetition of this call: the answer may be lost.
local ended_key = prefix .. ':ended:' .. nonce
if limit then
  local before = redis.call('GET', ended_key)
  if before then return { 'created', before, append() } end
  local others, count = excess()
  if count > 0 and action == 'reject login' then return { 'limit reached' } end
  for index = 1, count do
    local other = others[index]
    local till = whole(seconds_up(other.x))
    delete_session(other.sid, field)
    tag = revoke(other.m, till)
    table.insert(ended, other.sid .. ' ' .. till)
  end
end
redis.call('DEL', session_key(sid))
redis.call('HSET', session_key(sid), 't', whole(server), 'u', field, unpack(ARGV, 17))
redis.call('ZREMRANGEBYSCORE', list_key(field), '-inf', whole(earlier))
expire(sid, field, ARGV[10], ARGV[11], ARGV[12])
if not tag then return { 'created' } end
ended = table.concat(ended, ' ')
redis.call('SET', ended_key, ended, 'PX', 60000)
return { 'created', ended, tag }

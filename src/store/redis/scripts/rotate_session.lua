-- Rotates the refresh token of a session, by the rules of `Session::rotate`.
-- Arguments: the `sid`, the counter of the refresh token, the grace in nanoseconds, when the
-- session expires if idle, `exp` of the access token, the caller's time, the access epoch and the
-- data version before the claims were computed, and the `acr` of an elevation, empty for a refresh.
-- This adds the field 'o': the nonce and the outcome of the last rotation. Outcomes: 'renewed' is
-- `Rotated` in Rust, 'repeated' `WithinGrace`, 'recovered' `LostWrites`, 'replayed'
-- `ReuseDetected`.
local sid, counter, grace = ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])
local idle, access, present = ARGV[9], ARGV[10], ARGV[11]
local epoch, data_version, acr = tonumber(ARGV[12]), tonumber(ARGV[13]), ARGV[14]
local key = session_key(sid)
local names = { 'u', 'k', 'r', 'd', 'e', 'x', 't', 'm', 'g', 'o', 'v', 'f', 'p' }
local values = redis.call('HMGET', key, unpack(names))
local v = {}
for index, name in ipairs(names) do v[name] = values[index] end
if not v.k then return { 'ended' } end
if is_revoked(sid, v.u, v.m) then return { 'ended' } end
if present >= v.d or present >= v.e then return { 'expired' } end
local s = subject(v.u)
if s.b == 1 then return { 'blocked' } end
if s.g ~= tonumber(v.g) then return { 'logged out' } end
-- An earlier run of this call rotated already, and its answer was lost.
if v.o and string.sub(v.o, 1, 16) == nonce then
  return { string.sub(v.o, 17), redis.call('HGETALL', key) }
end

local outcome = 'renewed'
local current = tonumber(v.k)
local is_old = counter < current
access = latest(v.x, access)
if acr ~= '' then
  if counter ~= current then return { 'outdated' } end
elseif is_old then
  -- The age by the server's clock, which all nodes share. If the caller's clock differs by a minute
  -- or more, it is the clock of a test, or so wrong that the session follows it anyway.
  local age = nanoseconds_between(v.r, present)
  if math.abs(server - now) < 60000 then age = (server - tonumber(v.t)) * 1000000 end
  -- A negative age means that a clock stepped back: the true age is unknown.
  if counter ~= current - 1 or math.abs(age) >= grace then
    local all = redis.call('HGETALL', key)
    delete_session(sid, v.u)
    local till = whole(seconds_up(v.x))
    return { 'replayed', all, revoke(v.m, till), till }
  end
  if v.f == '1' then return { 'elevated' } end
end
if s.e ~= epoch or tonumber(v.v) ~= data_version then return { 'outdated' } end
-- Never lowered: the server may have lost the record, and an access token of the higher epoch is
-- still valid.
epoch = math.max(epoch, tonumber(v.p))
if is_old then
  outcome = 'repeated'
  idle = v.d
  -- A clock that stepped back must not lengthen the grace.
  local rotated_at = whole(math.min(tonumber(v.t), server))
  redis.call('HSET', key, 'r', first(v.r, present), 't', rotated_at, 'x', access,
    'p', whole(epoch))
else
  -- The counter is at 2^53 - 1, the largest exact number of Lua.
  if counter >= 9007199254740991 then return { 'expired' } end
  if counter > current then outcome = 'recovered' end
  idle = first(idle, v.e)
  redis.call('HSET', key, 'k', whole(counter + 1), 'r', present, 't', whole(server), 'd', idle,
    'x', access, 'p', whole(epoch), 'o', nonce .. outcome, 'f', acr ~= '' and '1' or '')
  if acr ~= '' then redis.call('HSET', key, 'b', acr, 'w', present) end
end
expire(sid, v.u, idle, v.e, access)
return { outcome, redis.call('HGETALL', key) }

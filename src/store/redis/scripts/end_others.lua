-- Ends all sessions of a subject except one, which gets the new generation and access epoch.
-- Arguments: the `sid` that is kept, the member that would revoke it, and the longest lifetime of a
-- token, in seconds. Answers as for a changed subject, then its field and the fields of the
-- session.
local sid, member, longest = ARGV[6], ARGV[7], tonumber(ARGV[8])
local key = session_key(sid)
local fields = redis.call('HMGET', key, 'm', 'u', 'g')
local field = fields[2]
-- The first case: the session of another issuer.
if fields[1] ~= member or is_revoked(sid, field, member) then return {} end
local s = subject(field)
local reply
if is_done(s) then
  reply = unchanged(s, true)
else
  if s.b == 1 or s.g ~= tonumber(fields[3]) then return {} end
  raise(field, s, longest, sid)
  redis.call('HSET', key, 'g', whole(s.g), 'p', whole(s.e))
  reply = changed(field, s)
end
table.insert(reply, field)
table.insert(reply, redis.call('HGETALL', key))
return reply

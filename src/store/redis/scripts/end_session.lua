-- The id of the session, its member, and until when, in seconds, to revoke it if this server has
-- lost it.
local sid, own, till = ARGV[6], ARGV[7], ARGV[8]
local key = session_key(sid)
local all = redis.call('HGETALL', key)
local fields = redis.call('HMGET', key, 'm', 'x', 'u')
if fields[1] == own then
  till = whole(seconds_up(fields[2]))
  redis.call('DEL', key)
  redis.call('ZREM', list_key(fields[3]), sid)
elseif fields[1] then
  -- Another issuer's session.
  return {}
else
  -- If it has ended already, the caller learns until when it is revoked.
  local ended = redis.call('ZSCORE', state, own)
  if ended then return { {}, append(), ended } end
end
return { all, revoke(own, till), till }

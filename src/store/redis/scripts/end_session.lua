-- Ends a session. Arguments: its `sid`, the member that revokes it, and until when to revoke it if
-- the server has lost it, in seconds.
local sid, member, till = ARGV[6], ARGV[7], ARGV[8]
local key = session_key(sid)
local all = redis.call('HGETALL', key)
local fields = redis.call('HMGET', key, 'm', 'x', 'u')
if fields[1] == member then
  -- It has ended already: the server lost that, and a node has written it back.
  if redis.call('ZSCORE', revoked, member) then all = {} end
  till = whole(seconds_up(fields[2]))
  delete_session(sid, fields[3])
elseif fields[1] then
  -- The session of another issuer.
  return {}
else
  -- The session has ended already: answer until when it is revoked.
  local ended = redis.call('ZSCORE', revoked, member)
  if ended then return { {}, append(), ended } end
end
return { all, revoke(member, till), till }

-- Revokes a token, a session or a cutoff. Arguments: the member, and its end in seconds. For a
-- session of this store also the `sid`: the session ends too.
local member, till, sid = ARGV[6], ARGV[7], ARGV[8]
if sid then
  local key = session_key(sid)
  local fields = redis.call('HMGET', key, 'm', 'x', 'u')
  if fields[1] == member then
    till = whole(math.max(tonumber(till), seconds_up(fields[2])))
    delete_session(sid, fields[3])
  end
end
return { revoke(member, till), till }

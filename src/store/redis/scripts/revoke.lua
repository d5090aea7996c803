-- The member, until when, in seconds, and the id of the session if it may be one that is kept here:
-- that one ends too.
local own, till, sid = ARGV[6], ARGV[7], ARGV[8]
if sid then
  local key = session_key(sid)
  local fields = redis.call('HMGET', key, 'm', 'x', 'u')
  if fields[1] == own then
    till = whole(math.max(tonumber(till), seconds_up(fields[2])))
    redis.call('DEL', key)
    redis.call('ZREM', list_key(fields[3]), sid)
  end
end
return { revoke(own, till), till }

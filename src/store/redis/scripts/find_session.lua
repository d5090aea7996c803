-- Finds a session that has not ended, by its `sid`. Answers the fields of its hash.
local sid = ARGV[6]
local fields = redis.call('HMGET', session_key(sid), 'm', 'u', 'g')
local member, field, generation = unpack(fields)
if not member or is_revoked(sid, field, member) then return {} end
if subject(field).g ~= tonumber(generation) then return {} end
return redis.call('HGETALL', session_key(sid))

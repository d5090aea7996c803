-- Creates a session.
-- Arguments: the field of the subject, the `sid`, the generation, the access epoch, when it expires
-- if idle, when at the latest, `exp` of the access token, and the fields of the hash. This adds
-- 't', the server's time of the last rotation, and 'u', the field of the subject.
local field, sid, generation, epoch = ARGV[6], ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9])
local s = subject(field)
if s.b == 1 then return 'blocked' end
if s.g ~= generation then return 'logged out' end
if s.e ~= epoch then return 'outdated' end
redis.call('DEL', session_key(sid))
redis.call('HSET', session_key(sid), 't', whole(server), 'u', field, unpack(ARGV, 13))
redis.call('ZREMRANGEBYSCORE', list_key(field), '-inf', whole(earlier))
expire(sid, field, ARGV[10], ARGV[11], ARGV[12])
return 'kept'

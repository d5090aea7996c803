local key = session_key(ARGV[6])
local all = redis.call('HGETALL', key)
-- An entry that says nothing: who has read it has read whatever ended the session.
if #all == 0 then return { all, append() } end
local fields = redis.call('HMGET', key, 'm', 'x', 'u')
redis.call('DEL', key)
redis.call('ZREM', list_key(fields[3]), ARGV[6])
return { all, revoke(fields[1], whole(seconds_up(fields[2]))), fields[1] }

-- Lists the sessions of a subject. Argument: its field. Answers pairs of `sid` and fields.
local sessions = {}
local s = subject(ARGV[6])
for _, sid in ipairs(redis.call('ZRANGE', list_key(ARGV[6]), 0, -1)) do
  local all = redis.call('HGETALL', session_key(sid))
  if #all == 0 then
    redis.call('ZREM', list_key(ARGV[6]), sid)
  elseif tonumber(redis.call('HGET', session_key(sid), 'g')) == s.g then
    table.insert(sessions, { sid, all })
  end
end
return sessions

-- Lists the sessions of a subject that have not ended. Argument: its field. Answers pairs of `sid`
-- and fields.
local sessions = {}
for _, sid in ipairs(live_sessions(ARGV[6], subject(ARGV[6]))) do
  table.insert(sessions, { sid, redis.call('HGETALL', session_key(sid)) })
end
return sessions

-- Finds a session by its `sid`. Answers the fields of its hash.
return redis.call('HGETALL', session_key(ARGV[6]))

return redis.call('HGETALL', session_key(ARGV[6]))

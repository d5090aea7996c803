-- Says which secret the members are sealed with, and where the stream ends.
local found = redis.call('GET', prefix .. ':secret')
if not found then
  redis.call('SET', prefix .. ':secret', ARGV[6])
  found = ARGV[6]
end
local newest = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)
local id = '0-0'
if newest[1] then id = newest[1][1] end
return { found, id, redis.call('GET', last) or '' }

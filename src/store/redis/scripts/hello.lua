-- Where to begin to read: at the first entry that is no older than so many milliseconds, or else at the end.
if ARGV[6] ~= '0' then
  for _, entry in ipairs(redis.call('XRANGE', stream, whole(math.max(server - tonumber(ARGV[6]), 0)), '+', 'COUNT', 100)) do
    if tag(entry) then return { entry[1], tag(entry) } end
  end
end
local id = '0-0'
local newest = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)
if newest[1] then id = newest[1][1] end
return { id, redis.call('GET', last) or '' }

-- After which entry to begin to read, by id and tag, and which process says so: that before the first which is no older than so many milliseconds, or else the
-- last.
local function before(id)
  local milliseconds, number = string.match(id, '^(%d+)-(%d+)$')
  if number ~= '0' then return milliseconds .. '-' .. whole(tonumber(number) - 1) end
  return whole(math.max(tonumber(milliseconds) - 1, 0)) .. '-4294967295'
end

if ARGV[6] ~= '0' then
  for _, entry in ipairs(redis.call('XRANGE', stream, whole(math.max(server - tonumber(ARGV[6]), 0)), '+', 'COUNT', 100)) do
    local previous = member(entry, 'p')
    if previous and member(entry, 'n') then return { before(entry[1]), previous, process() } end
  end
end
local id = '0-0'
local newest = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)
if newest[1] then id = newest[1][1] end
return { id, redis.call('GET', last) or '', process() }

-- After which entry to begin to read, by id and hash, and which process says so: that before the
-- first which is no older than so many milliseconds, or else the last. Ids go by a clock that may
-- have been set back since, so the higher of the two counts.
local function before(id)
  local milliseconds, number = string.match(id, '^(%d+)-(%d+)$')
  if number ~= '0' then return milliseconds .. '-' .. whole(tonumber(number) - 1) end
  return whole(math.max(tonumber(milliseconds) - 1, 0)) .. '-4294967295'
end

local hash, id = open().hash, '0-0'
local newest = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
if newest then id = newest[1] end
if ARGV[6] ~= '0' then
  local latest = math.max(server, tonumber(string.match(id, '^%d+')))
  local since = whole(math.max(latest - tonumber(ARGV[6]), 0))
  for _, entry in ipairs(redis.call('XRANGE', stream, since, '+', 'COUNT', 100)) do
    local previous = member(entry, 'p')
    if previous and member(entry, 'n') then return { before(entry[1]), previous, process() } end
  end
end
return { id, hash, process() }

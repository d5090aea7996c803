-- Finds where a node begins to read the stream.
-- Argument: how old entries to read, in milliseconds. Answers the ID and the hash of the
-- entry before the first of them, and the process.
--
-- Without such an entry, or with the argument 0, it answers the last entry. The server's clock may
-- have been set back since, so the age is measured from the last ID if that is later.
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
    local previous = entry_field(entry, 'p')
    if previous and entry_field(entry, 'n') then
      return { before(entry[1]), previous, process() }
    end
  end
end
return { id, hash, process() }

-- Appends a heartbeat.
-- Arguments: the node, how far it has read the stream, and the hash of the entry there.
local function eviction_policy()
  local info = redis.call('INFO', 'memory')
  local policy = string.match(info, '\nmaxmemory_policy:([%w-]+)')
  if policy == 'noeviction' or string.match(info, '\nmaxmemory:(%d+)') == '0' then return nil end
  return policy or 'unknown'
end

local at, policy = ARGV[7], eviction_policy()
-- A position with another hash belongs to the stream of another server. It says nothing here.
local entry = redis.call('XRANGE', stream, at, at)[1]
if not entry or string.sub(entry_field(entry, 'n') or '', 17) ~= ARGV[8] then at = '0-0' end
return append('h', ARGV[6], 'a', at, 'q', process(), unpack(policy and { 'e', policy } or {}))

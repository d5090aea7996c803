-- A sign of life of a node: its name, how far it has read, by id and hash, and the policy if the
-- server evicts keys. What is not in this stream was read in another, and says nothing of this one.
local function eviction()
  local info = redis.call('INFO', 'memory')
  local policy = string.match(info, '\nmaxmemory_policy:([%w-]+)')
  if policy == 'noeviction' or string.match(info, '\nmaxmemory:(%d+)') == '0' then return nil end
  return policy or 'unknown'
end

local at, policy = ARGV[7], eviction()
local entry = redis.call('XRANGE', stream, at, at)[1]
if not entry or string.sub(member(entry, 'n') or '', 17) ~= ARGV[8] then at = '0-0' end
if policy then return append('h', ARGV[6], 'a', at, 'e', policy) end
return append('h', ARGV[6], 'a', at)

-- A sign of life of a node: its name, and how far it has read, by id and tag. What is not in this stream was read in another,
-- and says nothing of this one.
local at = ARGV[7]
local entry = redis.call('XRANGE', stream, at, at)[1]
if not entry or member(entry, 'n') ~= ARGV[8] then at = '0-0' end
return append('h', ARGV[6], 'a', at)

-- Finds where a node begins to read the stream: at its end. Answers the ID and the hash of the last
-- entry, and the process.
local hash, id = open().hash, '0-0'
local newest = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
if newest then id = newest[1] end
return { id, hash, process() }

-- Which process this is, how far it has written, and how many replicas have all of that, or all up to an earlier place.
local info = redis.call('INFO', 'replication')
local offset = tonumber(ARGV[6]) or tonumber(string.match(info, 'master_repl_offset:(%d+)'))
local replicas = 0
for has in string.gmatch(info, 'slave%d+:[^\r\n]*state=online,offset=(%d+)') do
  if tonumber(has) >= offset then replicas = replicas + 1 end
end
return { process(), whole(offset), replicas }

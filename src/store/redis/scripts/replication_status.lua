-- Answers the process, the offset, and how many replicas have everything up to the offset.
-- Argument: an offset. If it is empty, the offset of the process is used.
local info = redis.call('INFO', 'replication')
local offset = tonumber(ARGV[6]) or tonumber(string.match(info, 'master_repl_offset:(%d+)'))
local replicas = 0
for has in string.gmatch(info, 'slave%d+:[^\r\n]*state=online,offset=(%d+)') do
  if tonumber(has) >= offset then replicas = replicas + 1 end
end
return { process(), whole(offset), replicas }

-- Reads a page of the subjects.
-- Arguments: the scan cursor, and the size of the page. Answers the process, because a scan cursor
-- is valid only there, the next scan cursor, which is empty at the end, and the pairs.
local page = redis.call('HSCAN', subjects, ARGV[6], 'COUNT', ARGV[7])
return { process(), page[1] ~= '0' and page[1] or '', page[2] }

-- Reads a page of the revocations or of the subjects.
-- Arguments: 'revoked' or 'subjects', the scan cursor, and the size of the page. Answers the
-- process, because a scan cursor is valid only there, the next scan cursor, and the pairs.
local page
if ARGV[6] == 'subjects' then
  page = redis.call('HSCAN', subjects, ARGV[7], 'COUNT', ARGV[8])
else
  page = redis.call('ZSCAN', revoked, ARGV[7], 'COUNT', ARGV[8])
end
return { process(), page[1], page[2] }

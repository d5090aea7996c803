-- Reads a page of the revocations, those with the latest end first.
-- Arguments: how many were read before, and the size of the page. Answers the process, because the
-- first argument is valid only there, the next first argument, which is empty at the end, the
-- members as one text, and for each end in turn how many of the members have it.
--
-- Meanwhile others add revocations, extend them, and remove those with the earliest end. So a page
-- may repeat some of the page before. It skips only what was extended, and the stream has that.
--
-- Members with the same end are next to each other. To ask for each end once takes a third of the
-- time that it takes to write an end for each member.
local from, size = tonumber(ARGV[6]), tonumber(ARGV[7])
local members = redis.call('ZRANGE', revoked, whole(from), whole(from + size - 1), 'REV')
local ends, counted = {}, 0
while counted < #members do
  local till = redis.call('ZSCORE', revoked, members[counted + 1])
  local upto = math.min(redis.call('ZCOUNT', revoked, till, '+inf') - from, #members)
  table.insert(ends, till)
  table.insert(ends, upto - counted)
  counted = upto
end
-- The nodes read a member every 16 bytes. Others are not of nodes, or show that the key was not
-- deleted.
local none = string.rep('\0', 16)
for index, member in ipairs(members) do
  if string.len(member) ~= 16 then members[index] = none end
end
local following = #members == size and whole(from + size) or ''
return { process(), following, table.concat(members), ends }

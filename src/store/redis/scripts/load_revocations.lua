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
local of_nodes, ends, taken, counted = {}, {}, 0, 0
while counted < #members do
  local till = redis.call('ZSCORE', revoked, members[counted + 1])
  local upto = math.min(redis.call('ZCOUNT', revoked, till, '+inf') - from, #members)
  local before = taken
  -- Members of another length are not of nodes, or show that the key was not deleted.
  repeat
    counted = counted + 1
    local member = members[counted]
    if #member == 16 then
      taken = taken + 1
      of_nodes[taken] = member
    end
  until counted >= upto
  table.insert(ends, till)
  table.insert(ends, taken - before)
end
local following = #members == size and whole(from + size) or ''
return { process(), following, table.concat(of_nodes), ends }

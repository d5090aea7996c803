-- Writes back the subjects of a node.
-- Arguments: the longest lifetime of a token, in seconds, and pairs of field and record. Answers
-- the tag of the last entry, and the records afterwards.
--
-- A record that includes the last change of the other is newer, and wins. If neither does, they
-- diverged. Then the result rejects what either rejects. Either access epoch may have been raised
-- last, so if both were raised, the result has the next one. So it is with the generation, which
-- then becomes that epoch.
--
-- A block raises neither if the server does not know that the subject has sessions here. If the
-- other record knows, the block counts as if it had raised both.
local longest = tonumber(ARGV[6])
local tag
local function write_back(field, text)
  local found = redis.call('HGET', subjects, field)
  local here, given = found and parse(found), parse(text)
  if here and here.tags ~= '' and string.find(here.tags, newest(given), 1, true) then
    return record(here)
  end
  if not here or here.tags == '' or string.find(given.tags, newest(here), 1, true) then
    redis.call('HSET', subjects, field, text)
    tag = append('u', field, 'r', text)
    return text
  end
  local blocked_alone = function(one, other) return one.e == 0 and one.c > 0 and other.e > 0 end
  if blocked_alone(here, given) then here.e, here.g = 1, 1 end
  if blocked_alone(given, here) then given.e, given.g = 1, 1 end
  local both_raised = math.min(here.e, given.e) > 0
  local both_logged_out = math.min(here.g, given.g) > 0
  here.e = math.max(here.e, given.e)
  here.g = math.max(here.g, given.g)
  here.t = math.max(here.t, given.t)
  if both_raised then
    here.e = here.e + 1
    if both_logged_out then here.g = here.e end
    here.t = math.max(here.t, math.ceil(now / 1000) + longest)
  end
  here.b = math.max(here.b, given.b)
  here.c = math.max(here.c, given.c)
  here.n = math.max(here.n, given.n)
  here.tags = newest(given) .. ',' .. here.tags
  tag = keep(field, here)
  return record(here)
end

local records = {}
for index = 7, #ARGV, 2 do
  table.insert(records, write_back(ARGV[index], ARGV[index + 1]))
end
return { tag or append(), records }

-- The same for subjects: how long access tokens live at most, in seconds, and pairs of field and
-- record. Answers the tag of the last entry, and the records as they are now. Of two records the
-- one that descends from the other counts. Where neither does, history has split: then whatever one
-- of them refuses is refused, and since either may have been the later one to be raised, what both
-- of them were raised to.
local longest = tonumber(ARGV[6])
local tag
local function restore(field, text)
  local found = redis.call('HGET', subjects, field)
  local theirs, mine = found and parse(found), parse(text)
  if theirs and theirs.tags ~= '' and string.find(theirs.tags, newest(mine), 1, true) then return record(theirs) end
  if not theirs or theirs.tags == '' or string.find(mine.tags, newest(theirs), 1, true) then
    redis.call('HSET', subjects, field, text)
    tag = append('u', field, 'r', text)
    return text
  end
  theirs.g = math.max(theirs.g, mine.g)
  theirs.t = math.max(theirs.t, mine.t)
  if math.min(theirs.g, mine.g) > 0 then
    theirs.g = theirs.g + 1
    theirs.t = math.max(theirs.t, math.ceil(now / 1000) + longest)
  end
  theirs.b = math.max(theirs.b, mine.b)
  theirs.c = math.max(theirs.c, mine.c)
  theirs.n = math.max(theirs.n, mine.n)
  theirs.tags = newest(mine) .. ',' .. theirs.tags
  tag = keep(field, theirs)
  return record(theirs)
end

local records = {}
for index = 7, #ARGV, 2 do table.insert(records, restore(ARGV[index], ARGV[index + 1])) end
return { tag or append(), records }

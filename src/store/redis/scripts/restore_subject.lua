-- The same for a subject, with how long access tokens live at most, in seconds. Of two records the one that descends from the other
-- counts. Where neither does, history has split: then whatever one of them refuses is refused, and since either may have been the
-- later one to be raised, what both of them were raised to.
local field, text = ARGV[6], ARGV[7]
local found = redis.call('HGET', subjects, field)
local theirs, mine = found and parse(found), parse(text)
local function replace()
  redis.call('HSET', subjects, field, text)
  return { append('u', field, 'r', text), text }
end
if not theirs or theirs.tags == '' then return replace() end
if string.find(theirs.tags, newest(mine), 1, true) then return { false, record(theirs) } end
if string.find(mine.tags, newest(theirs), 1, true) then return replace() end
theirs.g = math.max(theirs.g, mine.g)
theirs.t = math.max(theirs.t, mine.t)
if math.min(theirs.g, mine.g) > 0 then
  theirs.g = theirs.g + 1
  theirs.t = math.max(theirs.t, math.ceil(now / 1000) + tonumber(ARGV[8]))
end
theirs.b = math.max(theirs.b, mine.b)
theirs.c = math.max(theirs.c, mine.c)
theirs.n = math.max(theirs.n, mine.n)
theirs.tags = newest(mine) .. ',' .. theirs.tags
return keep(field, theirs)

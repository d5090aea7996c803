-- The same for a subject. Of two records the one that descends from the other counts. Where neither does, history has
-- split: then whatever one of them refuses is refused. That of eight changes none is known to the other means that it slept.
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
if theirs.n >= mine.n + 8 then return { false, record(theirs) } end
if mine.n >= theirs.n + 8 then return replace() end
theirs.g = math.max(theirs.g, mine.g)
theirs.t = math.max(theirs.t, mine.t)
theirs.b = math.max(theirs.b, mine.b)
theirs.c = math.max(theirs.c, mine.c)
theirs.n = math.max(theirs.n, mine.n)
theirs.tags = newest(mine) .. ',' .. theirs.tags
return keep(field, theirs)

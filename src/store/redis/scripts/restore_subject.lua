-- The same for a subject. Of two records the one that descends from the other counts. Where neither does, history has
-- split: then whatever one of them refuses is refused.
local field, text = ARGV[6], ARGV[7]
local theirs = subject(field)
local g, t, b, c, tags = string.match(text, '^(%d+):(%d+):(%d):(%d+):(.*)$')
local mine = string.sub(tags, 1, 8)
if string.find(theirs.tags, mine, 1, true) then return { false, record(theirs) } end
local newest = string.sub(theirs.tags, 1, 8)
if theirs.tags == '' or string.find(tags, newest, 1, true) then
  redis.call('HSET', subjects, field, text)
  return { append('u', field, 'r', text), text }
end
theirs.g = math.max(theirs.g, tonumber(g))
theirs.t = math.max(theirs.t, tonumber(t))
theirs.b = math.max(theirs.b, tonumber(b))
theirs.c = math.max(theirs.c, tonumber(c))
return keep(field, theirs)

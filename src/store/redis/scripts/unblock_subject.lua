-- Lifts the block of a subject.
-- Arguments: its field, and the longest lifetime of a token, in seconds.
local s = subject(ARGV[6])
if s.b == 0 then return unchanged(s, is_done(s)) end
s.b = 0
s.c = math.max(s.c, math.floor(now / 1000))
s.t = math.max(s.t, math.ceil(now / 1000) + tonumber(ARGV[7]))
return changed(ARGV[6], s)

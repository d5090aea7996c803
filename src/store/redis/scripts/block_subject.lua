-- Blocks a subject.
-- Arguments: its field, and the longest lifetime of a token, in seconds.
local s = subject(ARGV[6])
if s.b == 1 then return unchanged(s) end
raise(ARGV[6], s, tonumber(ARGV[7]))
s.b = 1
s.c = math.max(s.c, math.floor(now / 1000))
return changed(ARGV[6], s)

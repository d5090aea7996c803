-- At least this generation, and until when tokens of an earlier one may live, in seconds.
local s = subject(ARGV[6])
local g, t = tonumber(ARGV[7]), tonumber(ARGV[8])
if s.g >= g and s.t >= t then return unchanged(s) end
s.g = math.max(s.g, g)
s.t = math.max(s.t, t)
return changed(ARGV[6], s)

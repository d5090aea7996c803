-- Raises the generation of a subject to at least the given one.
-- Arguments: its field, the generation, and the end of the last token of a lower generation, in
-- seconds.
local s = subject(ARGV[6])
local g, t = tonumber(ARGV[7]), tonumber(ARGV[8])
if s.g >= g and s.t >= t then return unchanged(s) end
-- The access tokens of sessions that end may live longer than the caller knows.
if g > s.g then
  local till, epoch = latest_access(ARGV[6])
  t = math.max(t, till)
  end_all(ARGV[6])
  s.e = math.max(g, s.e + 1, epoch + 1)
  s.g = s.e
end
s.t = math.max(s.t, t)
return changed(ARGV[6], s)

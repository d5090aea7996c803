-- Blocks a subject.
-- Arguments: its field, the longest lifetime of a token, in seconds, and '1' if the subject may be
-- of another issuer.
--
-- Tokens of other issuers have no generation to raise. If it were raised, their tokens would count
-- as older after the block is lifted.
local s = subject(ARGV[6])
local is_foreign = ARGV[8] == '1' and s.e == 0
  and #redis.call('ZRANGE', list_key(ARGV[6]), 0, 0) == 0
if s.b == 1 and (is_foreign or s.g > 0) then return unchanged(s) end
if not is_foreign then raise(ARGV[6], s, tonumber(ARGV[7])) end
s.b = 1
s.c = math.max(s.c, math.floor(now / 1000))
return changed(ARGV[6], s)

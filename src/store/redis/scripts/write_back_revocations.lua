-- Writes back the revocations of a node. Arguments: pairs of member and end, in seconds.
--
-- Another node may have written them back just before. The caller must read that the server kept
-- them, so this appends an entry in each case.
local tag
for index = 6, #ARGV, 2 do
  local known = redis.call('ZSCORE', revoked, ARGV[index])
  if not known or tonumber(known) < tonumber(ARGV[index + 1]) then
    tag = revoke(ARGV[index], ARGV[index + 1])
  end
end
return tag or append()

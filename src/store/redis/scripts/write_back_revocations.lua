-- What a node holds, and this server may have lost: pairs of member and end. What is here already
-- another node may have written back just now, so the caller must read that it was kept: hence an
-- entry in any case.
local tag
for index = 6, #ARGV, 2 do
  local known = redis.call('ZSCORE', state, ARGV[index])
  if not known or tonumber(known) < tonumber(ARGV[index + 1]) then tag = revoke(ARGV[index], ARGV[index + 1]) end
end
return tag or append()

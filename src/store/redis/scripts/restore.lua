-- What a node holds, and this server may have lost: pairs of member and end.
local restored = 0
for index = 6, #ARGV, 2 do
  local known = redis.call('ZSCORE', state, ARGV[index])
  if not known or tonumber(known) < tonumber(ARGV[index + 1]) then
    revoke(ARGV[index], ARGV[index + 1])
    restored = restored + 1
  end
end
return restored

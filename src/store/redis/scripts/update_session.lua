-- Replaces the data of a session.
-- Arguments: the `sid`, the version of the data that are replaced, and the new data, empty for
-- none. This adds the field 'q': the nonce of the last update.
local key, version = session_key(ARGV[6]), tonumber(ARGV[7])
local fields = redis.call('HMGET', key, 'u', 'g', 'v', 'm', 'q')
local field, generation, current, member, updated_by = unpack(fields)
if not current or is_revoked(ARGV[6], field, member) then return 'ended' end
local s = subject(field)
if s.b == 1 or s.g ~= tonumber(generation) then return 'ended' end
-- Otherwise an earlier run of this call replaced the data already, and its answer was lost.
if updated_by ~= nonce then
  -- The largest exact number of Lua is 2^53.
  if tonumber(current) ~= version or version >= 9007199254740991 then return 'outdated' end
  redis.call('HSET', key, 'j', ARGV[8], 'v', whole(version + 1), 'q', nonce)
end
return 'updated'

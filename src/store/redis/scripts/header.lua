-- The start of every script.
--
-- Keys: the revocations, the subjects, the stream, and the end of the stream.
local revoked, subjects, stream, last = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
-- The nonce of the call, the same if the call is repeated. The caller's time in milliseconds.
local nonce, now = ARGV[1], tonumber(ARGV[2])
-- The format of the keys' contents. Nodes of two formats cannot share them.
local format = '4:'
-- The format, and the check value of the caller's secret.
local check_value = format .. ARGV[4]
local prefix = string.sub(revoked, 1, -1 - string.len(':revoked'))
local time = redis.call('TIME')
-- The server's time in milliseconds.
local server = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
-- Data expires by the clock that is behind: too late is safe, too early is not.
local earlier = math.min(server, now)

local secret = redis.call('GET', prefix .. ':secret')
if not secret then
  -- The key was deleted, or these keys are new. The subjects hold a copy.
  secret = redis.call('HGET', subjects, '') or check_value
  if secret == check_value then redis.call('SET', prefix .. ':secret', check_value) end
end
if string.sub(secret, 1, string.len(format)) ~= format then
  return redis.error_reply('OTHERFORMAT the keys belong to nodes of another version')
end
if secret ~= check_value then
  return redis.error_reply('OTHERSECRET the keys belong to nodes with another secret')
end

local function whole(number)
  return string.format('%.0f', number)
end

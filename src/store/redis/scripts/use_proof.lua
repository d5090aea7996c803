-- Stores a used DPoP proof, and answers 1. Answers 0 if it was used before.
-- Arguments: the fingerprint of the proof, and when it may be forgotten, in milliseconds.
--
-- Nodes accept no proof in the last 30 seconds before that time. The clock of each node is at most
-- 30 seconds behind the server's clock. So when the key expires, no node accepts the proof.
if math.abs(server - now) > 30000 then
  return redis.error_reply('CLOCKSDIFFER the clocks of node and server differ by over 30 seconds')
end
local left = tonumber(ARGV[7]) - earlier
if left <= 0 then return 0 end
local key = prefix .. ':proof:' .. ARGV[6]
local user = redis.call('SET', key, nonce, 'NX', 'GET', 'PX', whole(left))
-- An earlier run of this call may have stored it, and its answer was lost.
if user and user ~= nonce then return 0 end
return 1

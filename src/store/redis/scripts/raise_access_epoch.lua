-- Raises the access epoch of a subject by one. Its sessions continue.
-- Arguments: its field, and the longest lifetime of a token, in seconds.
local s = subject(ARGV[6])
if is_done(s) then return unchanged(s, true) end
raise_epoch(ARGV[6], s, tonumber(ARGV[7]))
return changed(ARGV[6], s)

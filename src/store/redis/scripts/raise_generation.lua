-- How long access tokens live at most, in seconds.
local s = subject(ARGV[6])
if is_done(s) then return unchanged(s, true) end
raise(ARGV[6], s, tonumber(ARGV[7]))
return changed(ARGV[6], s)

-- How long access tokens live at most, in seconds.
local s = subject(ARGV[6])
if is_done(s) then return unchanged(s) end
raise(ARGV[6], s, tonumber(ARGV[7]))
return keep(ARGV[6], s)

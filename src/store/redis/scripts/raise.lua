-- How long access tokens live at most, in seconds.
local s = subject(ARGV[6])
raise(ARGV[6], s, tonumber(ARGV[7]))
return keep(ARGV[6], s)

-- Answers the generation and the access epoch of a subject, and whether it is blocked. Argument:
-- its field.
local s = subject(ARGV[6])
return { whole(s.g), whole(s.e), s.b }

local s = subject(ARGV[6])
return { whole(s.g), s.b }

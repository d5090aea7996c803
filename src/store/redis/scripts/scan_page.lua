-- A page of the state, or of the subjects. A cursor means something to the process alone that gave it: which one that is comes along.
local page
if ARGV[6] == 'subjects' then
  page = redis.call('HSCAN', subjects, ARGV[7], 'COUNT', ARGV[8])
else
  page = redis.call('ZSCAN', state, ARGV[7], 'COUNT', ARGV[8])
end
return { process(), page[1], page[2] }

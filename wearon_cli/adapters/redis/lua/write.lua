-- ARGV: session_id, token, facts, field, value, further fields and values...
-- Writes fields of a claimed job, unless the first one already has this value.
local id, token, facts, field, value = unpack(ARGV, 1, 5)
local now = time()
local job = read(id, 'token', 'lines', field)
if job.token ~= token then return 0 end
if job[field] == value then return 1 end -- sent again
redis.call('HSET', JOB .. id, 'lines', noted(job.lines, now, facts), unpack(ARGV, 4))
return 1

-- ARGV: session_id, token, facts, field, value, lane or ''
-- Writes one field of a job that is held.
local id, token, facts, field, value, lane = unpack(ARGV)
local now = time()
local job = read(id, 'token', 'lines', field)
if job.token ~= token then return 0 end
if job[field] == value then return 1 end -- sent again
local changes = {[field] = value, lines = noted(job.lines, now, facts)}
if lane ~= '' then changes.lane = lane end
write(id, changes)
return 1

-- ARGV: session_id, facts
-- An open job keeps its lines itself; without one the line goes into the timeline.
local id, facts = unpack(ARGV)
local now = time()
local job = read(id, 'lane', 'lines')
if job.lane ~= '' then
  write(id, {lines = noted(job.lines, now, facts)})
else
  keep_lines(id, noted('', now, facts))
end

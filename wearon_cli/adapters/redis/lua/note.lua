-- ARGV: session_id, facts
-- An open job keeps its lines itself; without one the line goes into the timeline.
local id, facts = unpack(ARGV)
local now = time()
local job = read(id, 'lane', 'lines')
if job.lane ~= '' then
  write(id, {lines = noted(job.lines, now, facts)})
  return
end
local timeline = TIMELINE .. id
local line = string.gsub(noted('', now, facts), '\n', '')
if redis.call('RPUSH', timeline, line) > TIMELINE_ENTRIES then
  redis.call('LTRIM', timeline, -TIMELINE_ENTRIES, -1)
end
redis.call('EXPIRE', timeline, TIMELINE_LIFE_S)

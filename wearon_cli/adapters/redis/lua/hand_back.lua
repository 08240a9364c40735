-- ARGV: session_id, token, facts, after_s, why
-- A job that is due at once goes to the head of its lane: it has waited before.
local id, token, facts, after_s, why = unpack(ARGV)
after_s = tonumber(after_s)
local now = time()
local job = read(id, 'token', 'last_token', 'lines', 'lane', 'attempt', 'earlier', 'faults',
                 'waiting_since')
if job.token ~= token then return job.last_token == token and 1 or 0 end -- sent again, or lost
local changes = {token = '', last_token = token, worker = '', due_at = now + after_s}
if why == 'fault' then changes.faults = (tonumber(job.faults) or 0) + 1 end
if why == 'waiting' and job.waiting_since == '' then changes.waiting_since = now end
changes.lines = noted(job.lines, now, facts, numbered(job))
write(id, changes)
local state = redis.call('HMGET', DISPATCH, 'round', 'wanted')
if after_s > 0 then
  redis.call('ZADD', JOBS, now + after_s, id)
else
  redis.call('ZADD', JOBS, head(job.lane, now, state[1]), id)
  offer(offer_for(job.lane), state[2])
end
offer('slot', state[2])
return 1

-- ARGV: session_id, worker_id, token, facts
-- Returns the entry's fields and values, or nil.
local id, worker, token, facts = unpack(ARGV)
local now = time()
local flat, job = redis.call('HGETALL', JOB .. id), {}
for i = 1, #flat, 2 do job[flat[i]] = flat[i + 1] end
if job.token == token then return flat end -- sent again: the first answer was lost
if not job.lane or job.token ~= nil and job.token ~= '' then return nil end
if tonumber(job.due_at or 0) > now then return nil end
local registered = redis.call('HGET', WORKERS, worker)
if not registered then return nil end
redis.call('ZADD', JOBS, RUNNING + cjson.decode(registered).number, id)
local attempt = tonumber(job.attempt or 0) + 1
local changes = {
  token = token,
  worker = worker,
  attempt = attempt,
  started_at = job.started_at or tostring(now),
  claimed_at = tostring(now),
  lines = noted(job.lines, now, facts, numbered({earlier = job.earlier, attempt = attempt})),
}
write(id, changes)
for name, value in pairs(changes) do
  flat[#flat + 1] = name
  flat[#flat + 1] = tostring(value)
end
return flat

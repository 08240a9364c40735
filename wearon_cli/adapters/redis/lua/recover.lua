-- ARGV: limit, max_wait_s, facts, expired facts, providers...
-- The limit is looked at before each worker and each job held back; a worker's jobs go together.
-- Returns how many jobs were made ready that a dead worker held, how many workers died, and how
-- many jobs breakers have held back for too long.
local limit, max_wait_s, facts, expired_facts = unpack(ARGV, 1, 4)
limit = tonumber(limit)
local orphaned, lost = 0, 0
local flat, leases = redis.call('HGETALL', WORKERS), {}
for i = 1, #flat, 2 do leases[#leases + 1] = WORKER .. flat[i] end
if #leases > 0 then
  for i, lease in ipairs(redis.call('MGET', unpack(leases))) do
    if not lease and orphaned < limit then
      local worker = cjson.decode(flat[2 * i])
      orphaned = orphaned + let_go(worker.number, time(), facts, true)
      redis.call('HDEL', WORKERS, flat[2 * i - 1])
      lost = lost + 1
    end
  end
  if lost > 0 then count_slots() end
end
local expired = 0
if redis.call('HGET', DISPATCH, 'gated') == '1' then
  local now = time()
  local barrier = gate(5)
  if #barrier.names > 0 and now - barrier.since > tonumber(max_wait_s) then
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', JOBS, PAID - 1, '(' .. WAITING)) do
      if expired >= limit then break end
      local job = read(id, 'opened_at', 'lines')
      if now - job.opened_at > tonumber(max_wait_s) then
        write(id, {lane = 'free', expired = barrier.reason, lines = noted(job.lines, now, expired_facts)})
        redis.call('ZADD', JOBS, FREE + now, id)
        expired = expired + 1
      end
    end
  end
  if expired > 0 then signal() end
end
return {orphaned, lost, expired}

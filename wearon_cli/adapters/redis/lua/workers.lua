-- Included after common.lua, before the scripts about workers.

-- Record the number of slots of all registered workers.
local function count_slots()
  local slots = 0
  for _, text in ipairs(redis.call('HVALS', WORKERS)) do slots = slots + cjson.decode(text).slots end
  redis.call('HSET', DISPATCH, 'slots', slots)
end

-- Make all jobs of a worker ready again, at the head of their lanes. Returns how many. Never a part
-- of them: the worker could then renew its lease, and go on with jobs that others have.
local function let_go(number, now, facts, died)
  local score = RUNNING + number
  local held = redis.call('ZRANGEBYSCORE', JOBS, score, score)
  local state = redis.call('HMGET', DISPATCH, 'round', 'wanted')
  for _, id in ipairs(held) do
    local job = read(id, 'lane', 'lines', 'attempt', 'earlier', 'deaths', 'token')
    write(id, {
      token = '',
      worker = '',
      deaths = (tonumber(job.deaths) or 0) + (died and 1 or 0),
      lines = noted(job.lines, now, facts, numbered(job)),
    })
    redis.call('ZADD', JOBS, head(job.lane, now, state[1]), id)
  end
  if #held > 0 then signal() end
  return #held
end

-- ARGV: silence_s of a consumer, window_s
-- The numbers of waiting and running jobs. Changes nothing.
local silence_s, window_s = unpack(ARGV)
local now = time()
local next_id = redis.call('ZRANGEBYSCORE', JOBS, FREE_HEAD, '(' .. WAITING, 'LIMIT', 0, 1)[1]
local permits, log = 0, redis.call('GET', REQUESTS) or ''
for at_ms in string.gmatch(log, string.rep('%d', 13)) do
  if at_ms / 1000 > now - window_s then permits = permits + 1 end
end
local function count(from, to) return redis.call('ZCOUNT', JOBS, from, to) end
return {
  tostring(now),
  redis.call('LLEN', TASK_LIST),
  redis.call('LINDEX', TASK_LIST, -1) or '',
  count(FREE_HEAD, '(' .. WAITING),
  next_id and redis.call('HGET', JOB .. next_id, 'opened_at') or '',
  count('-inf', '(' .. FREE_HEAD),
  count(RUNNING, '+inf'),
  count(WAITING, '(' .. RUNNING),
  count('-inf', RELEASED + now) + count(WAITING, now),
  redis.call('ZCARD', DEAD_LETTERS),
  redis.call('ZCOUNT', CONSUMERS, now - silence_s, '+inf'),
  redis.call('HLEN', WORKERS),
  redis.call('HGET', DISPATCH, 'slots') or 0,
  permits,
}

-- KEYS: wake, horizon, celery queue    ARGV: job key prefix, limit, grace_s, overtaken_s
-- Hands out the jobs that want a new wake-up call, each to one caller.
-- A job that was woken and not yet claimed may simply be waiting behind others: it is called again
-- only when the Celery queue is empty, or when a job woken well after it has been claimed.
local now = redis.call('TIME')
now = now[1] + now[2] / 1000000
local waiting = redis.call('LLEN', KEYS[3])
local horizon = tonumber(redis.call('GET', KEYS[2]) or '0')
local due = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[2])) do
  local job = ARGV[1] .. id
  if redis.call('EXISTS', job) == 0 then
    redis.call('ZREM', KEYS[1], id)
  else
    local woken_at = tonumber(redis.call('HGET', job, 'woken_at') or '0')
    local in_line = woken_at > 0 and waiting > 0 and woken_at + ARGV[4] > horizon
    redis.call('ZADD', KEYS[1], now + ARGV[3], id)
    if not in_line then
      redis.call('HDEL', job, 'due_at')
      redis.call('HSET', job, 'woken_at', now)
      due[#due + 1] = id
    end
  end
end
return due

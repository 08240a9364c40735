-- KEYS: wake, ready, clock, celery queue    ARGV: job key prefix, limit
-- Makes jobs whose lease ran out or whose due time came ready, ahead of all others.
-- Returns how many it moved, and how many ready jobs have no Celery message.
local now = redis.call('TIME')
now = now[1] + now[2] / 1000000
local round = redis.call('GET', KEYS[3]) or '0'
local moved = 0
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[2])) do
  redis.call('ZREM', KEYS[1], id)
  if redis.call('EXISTS', ARGV[1] .. id) == 1 then
    redis.call('ZADD', KEYS[2], round, id)
    moved = moved + 1
  end
end
local uncalled = redis.call('ZCARD', KEYS[2]) - redis.call('LLEN', KEYS[4])
return {moved, math.max(0, math.min(uncalled, tonumber(ARGV[2])))}

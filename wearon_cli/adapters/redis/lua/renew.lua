-- KEYS: job, wake, ready    ARGV: session_id, token, lease_s
-- Also after the lease ran out, as long as no other worker has claimed the job. By then it may be
-- ready again: it is taken out, or the next claim would steal it from a live worker.
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[2] then return 0 end
local now = redis.call('TIME')
now = now[1] + now[2] / 1000000
redis.call('HSET', KEYS[1], 'lease_until', now + ARGV[3])
redis.call('ZADD', KEYS[2], now + ARGV[3], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
return 1

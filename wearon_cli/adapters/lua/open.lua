-- KEYS: job, wake    ARGV: session_id, channel, payload, grace_s
-- Opens an entry unless one is open. The first wake-up call is on its way: look again after grace.
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local now = redis.call('TIME')
now = now[1] + now[2] / 1000000
redis.call('HSET', KEYS[1], 'channel', ARGV[2], 'payload', ARGV[3], 'opened_at', now,
           'woken_at', now, 'attempts', 0, 'faults', 0, 'ambiguous', 0)
redis.call('ZADD', KEYS[2], now + ARGV[4], ARGV[1])
return 1

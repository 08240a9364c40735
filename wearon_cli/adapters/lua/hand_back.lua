-- KEYS: job, wake    ARGV: session_id, token, after_s, why, grace_s
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[2] then return 0 end
local now = redis.call('TIME')
now = now[1] + now[2] / 1000000
redis.call('HDEL', KEYS[1], 'token', 'lease_until')
redis.call('HINCRBY', KEYS[1], 'attempts', -1)
if ARGV[4] == 'fault' then redis.call('HINCRBY', KEYS[1], 'faults', 1) end
if ARGV[4] == 'waiting' then redis.call('HSETNX', KEYS[1], 'waiting_since', now) end
local after_s = tonumber(ARGV[3])
if after_s > 0 then
  redis.call('HSET', KEYS[1], 'due_at', now + after_s)
  redis.call('ZADD', KEYS[2], now + after_s, ARGV[1])
else
  -- A new wake-up call follows at once.
  redis.call('HSET', KEYS[1], 'woken_at', now)
  redis.call('ZADD', KEYS[2], now + ARGV[5], ARGV[1])
end
return 1

-- KEYS: job, wake, ready, clock    ARGV: session_id, token, after_s, why
-- A job due at once goes to the head of the line: it has waited before.
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[2] then return 0 end
local now = redis.call('TIME')
now = now[1] + now[2] / 1000000
redis.call('HDEL', KEYS[1], 'token', 'lease_until')
redis.call('HINCRBY', KEYS[1], 'attempts', -1)
if ARGV[4] == 'fault' then redis.call('HINCRBY', KEYS[1], 'faults', 1) end
if ARGV[4] == 'waiting' then redis.call('HSETNX', KEYS[1], 'waiting_since', now) end
if tonumber(ARGV[3]) > 0 then
  redis.call('ZADD', KEYS[2], now + ARGV[3], ARGV[1])
  redis.call('ZREM', KEYS[3], ARGV[1]) -- made ready by an outage that outlasted the lease
else
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('ZADD', KEYS[3], redis.call('GET', KEYS[4]) or '0', ARGV[1])
end
return 1

-- KEYS: job, wake, horizon    ARGV: session_id, token, lease_s
-- Takes the lease. Returns a refusal, or the entry as a flat list.
if redis.call('EXISTS', KEYS[1]) == 0 then return 'unknown' end
local now = redis.call('TIME')
now = now[1] + now[2] / 1000000
if redis.call('HGET', KEYS[1], 'token') == ARGV[2] then
  return redis.call('HGETALL', KEYS[1]) -- the same call sent again: its first answer was lost
end
local lease_until = tonumber(redis.call('HGET', KEYS[1], 'lease_until') or '0')
if lease_until > now then return 'leased' end
local due_at = tonumber(redis.call('HGET', KEYS[1], 'due_at') or '0')
if due_at > now then return 'not_due' end
local woken_at = tonumber(redis.call('HGET', KEYS[1], 'woken_at') or '0')
if woken_at > tonumber(redis.call('GET', KEYS[3]) or '0') then
  redis.call('SET', KEYS[3], woken_at, 'EX', 86400)
end
redis.call('HINCRBY', KEYS[1], 'attempts', 1)
redis.call('HDEL', KEYS[1], 'due_at', 'woken_at')
redis.call('HSET', KEYS[1], 'token', ARGV[2], 'lease_until', now + ARGV[3])
redis.call('ZADD', KEYS[2], now + ARGV[3], ARGV[1])
return redis.call('HGETALL', KEYS[1])

-- KEYS: tasks, ready, wake, dead letters, consumers, requests, breaker, celery
-- ARGV: job key prefix, silence_s, window_s
-- What waits and what runs, in one look. Changes nothing.
local now = redis.call('TIME')
now = now[1] + now[2] / 1000000
local next_since = false
local first = redis.call('ZRANGE', KEYS[2], 0, 0)
if #first > 0 then next_since = redis.call('HGET', ARGV[1] .. first[1], 'opened_at') end
return {
  tostring(now),
  redis.call('LLEN', KEYS[1]),
  redis.call('LINDEX', KEYS[1], -1),
  redis.call('ZCARD', KEYS[2]),
  next_since,
  redis.call('ZCOUNT', KEYS[3], now, '+inf'),
  redis.call('ZCARD', KEYS[3]),
  redis.call('ZCARD', KEYS[4]),
  redis.call('ZCOUNT', KEYS[5], now - ARGV[2], '+inf'),
  redis.call('ZCOUNT', KEYS[6], now - ARGV[3], '+inf'),
  redis.call('HGET', KEYS[7], 'reason'),
  redis.call('LLEN', KEYS[8]),
}

-- ARGV: name, reason, first probe after so many seconds
-- Returns 1 when the breaker was closed.
local name, reason, after_s = unpack(ARGV)
local text, now = redis.call('HGET', BREAKERS, name), time()
local breaker = text and cjson.decode(text) or {reason = reason, since = now}
breaker.probe_at = now + after_s
breaker.job_at = breaker.probe_at
redis.call('HSET', BREAKERS, name, cjson.encode(breaker))
redis.call('EXPIRE', BREAKERS, BREAKER_LIFE_S)
redis.call('HSET', DISPATCH, 'gated', 1)
return text and 0 or 1

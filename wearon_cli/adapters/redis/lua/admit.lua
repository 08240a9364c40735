-- ARGV: name, probe_s
-- Returns 'closed' (calls are allowed), 'probe' (only this one is), or seconds until the next probe.
local text = redis.call('HGET', BREAKERS, ARGV[1])
if not text then return 'closed' end
local breaker, now = cjson.decode(text), time()
if breaker.probe_at > now then return tostring(breaker.probe_at - now) end
breaker.probe_at = now + ARGV[2]
breaker.job_at = breaker.probe_at
redis.call('HSET', BREAKERS, ARGV[1], cjson.encode(breaker))
return 'probe'

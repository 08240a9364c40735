-- KEYS: breaker    ARGV: probe_s
-- Returns 'closed': calls may go. 'probe': this one call may go. Else seconds until the next probe.
local probe_at = tonumber(redis.call('HGET', KEYS[1], 'probe_at') or '0')
if probe_at == 0 then return 'closed' end
local now = redis.call('TIME')
now = now[1] + now[2] / 1000000
if probe_at > now then return tostring(probe_at - now) end
redis.call('HSET', KEYS[1], 'probe_at', now + ARGV[1])
return 'probe'

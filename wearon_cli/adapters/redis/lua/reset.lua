-- ARGV: name
-- Returns 1 when the breaker was open.
if redis.call('HDEL', BREAKERS, ARGV[1]) == 0 then return 0 end
if redis.call('EXISTS', BREAKERS) == 0 then redis.call('HDEL', DISPATCH, 'gated') end
signal()
return 1

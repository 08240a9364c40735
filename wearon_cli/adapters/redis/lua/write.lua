-- KEYS: job    ARGV: token, number of fields to drop, dropped fields..., field, value, ...
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end
local drops = tonumber(ARGV[2])
for i = 3, 2 + drops do redis.call('HDEL', KEYS[1], ARGV[i]) end
for i = 3 + drops, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
return 1

-- KEYS: consumers, tasks    ARGV: own id, intake key prefix, silence_s
-- Records that this consumer is alive and returns the payloads of silent ones, oldest rightmost.
local now = redis.call('TIME')
now = now[1] + now[2] / 1000000
redis.call('ZADD', KEYS[1], now, ARGV[1])
local returned = 0
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[3])) do
  while redis.call('LMOVE', ARGV[2] .. id, KEYS[2], 'LEFT', 'RIGHT') do returned = returned + 1 end
  redis.call('ZREM', KEYS[1], id)
end
return returned

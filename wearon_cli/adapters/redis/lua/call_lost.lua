-- KEYS: job    ARGV: token
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return -1 end
if redis.call('HDEL', KEYS[1], 'call_model', 'call_at') == 0 then
  return tonumber(redis.call('HGET', KEYS[1], 'ambiguous'))
end
return redis.call('HINCRBY', KEYS[1], 'ambiguous', 1)

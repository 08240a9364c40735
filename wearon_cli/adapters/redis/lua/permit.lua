-- KEYS: requests, pictures
-- ARGV: token, window_s, most_requests, pictures, most_pictures, life_s
-- Two moving windows as logs. '0' when granted, else seconds until it can be.
local now = redis.call('TIME')
now = now[1] + now[2] / 1000000
local function missing_s(log, wanted, most)
  redis.call('ZREMRANGEBYSCORE', log, '-inf', now - ARGV[2])
  local over = redis.call('ZCARD', log) + wanted - most
  if over <= 0 then return 0 end
  local last = redis.call('ZRANGE', log, over - 1, over - 1, 'WITHSCORES')
  return last[2] + ARGV[2] - now
end
local wait = missing_s(KEYS[1], 1, tonumber(ARGV[3]))
local pictures = tonumber(ARGV[4])
if pictures > 0 then
  wait = math.max(wait, missing_s(KEYS[2], pictures, tonumber(ARGV[5])))
end
if wait > 0 then return tostring(wait) end
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[6])
for i = 1, pictures do redis.call('ZADD', KEYS[2], now, ARGV[1] .. ':' .. i) end
if pictures > 0 then redis.call('EXPIRE', KEYS[2], ARGV[6]) end
return '0'

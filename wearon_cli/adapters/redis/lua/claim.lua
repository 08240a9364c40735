-- KEYS: ready, wake, owners, clock, pace, this claim
-- ARGV: job key prefix, token, lease_s, request_gap_s, picture_gap_s, burst, life_s of the pace, life_s of this claim
-- Leases the next ready job, at the pace of the rate limit.
-- Returns 'empty', the seconds until the pace allows a claim as text, or session id and entry.
local now = redis.call('TIME')
now = now[1] + now[2] / 1000000
local claimed = redis.call('GET', KEYS[6])
if claimed then -- sent again by the client: the first answer was lost
  return {claimed, redis.call('HGETALL', ARGV[1] .. claimed)}
end
local next_at = tonumber(redis.call('GET', KEYS[5]) or '0')
local id, round, job
repeat
  local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
  if #first == 0 then return 'empty' end
  id, round = first[1], first[2]
  job = ARGV[1] .. id
  local known = redis.call('EXISTS', job) == 1
  if not known then redis.call('ZREM', KEYS[1], id) end
until known
local gap = math.max(ARGV[4], ARGV[5] * tonumber(redis.call('HGET', job, 'pictures')))
local early = next_at - now - gap * (ARGV[6] - 1)
if early > 0 then return tostring(early) end
redis.call('SET', KEYS[5], math.max(now, next_at) + gap, 'EX', ARGV[7])
redis.call('ZREM', KEYS[1], id)
if tonumber(round) > tonumber(redis.call('GET', KEYS[4]) or '0') then
  redis.call('SET', KEYS[4], round)
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', round) -- owners with no ready job left
end
redis.call('SET', KEYS[6], id, 'EX', ARGV[8])
redis.call('HINCRBY', job, 'attempts', 1)
redis.call('HSET', job, 'token', ARGV[2], 'lease_until', now + ARGV[3])
redis.call('ZADD', KEYS[2], now + ARGV[3], id)
return {id, redis.call('HGETALL', job)}

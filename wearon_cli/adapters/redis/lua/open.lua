-- KEYS: job, ready, owners, clock    ARGV: session_id, channel, payload, owner_id, pictures
-- Opens an entry unless one is open, and makes it ready. Fair queueing: an owner's n-th ready
-- job goes into the n-th round from now, so a burst of one owner does not delay the others.
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local now = redis.call('TIME')
now = now[1] + now[2] / 1000000
redis.call('HSET', KEYS[1], 'channel', ARGV[2], 'payload', ARGV[3], 'opened_at', now,
           'pictures', ARGV[5], 'attempts', 0, 'faults', 0, 'ambiguous', 0)
local round = tonumber(redis.call('GET', KEYS[4]) or '0')
local last = tonumber(redis.call('ZSCORE', KEYS[3], ARGV[4]) or '0')
round = math.max(round, last) + 1
redis.call('ZADD', KEYS[3], round, ARGV[4])
redis.call('ZADD', KEYS[2], round, ARGV[1])
return 1

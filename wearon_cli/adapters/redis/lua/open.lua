-- ARGV: session_id, opener, facts, lane, owner_id, fields and values of the job...
-- Opens an entry unless one is open. Fair queueing: an owner's n-th ready job is in the n-th round
-- from now, so a burst of one owner does not hold up the others.
local id, opener, facts, lane, owner = unpack(ARGV, 1, 5)
local now = time()
local turn = redis.call('HMGET', DISPATCH, 'round', 'wanted', 'owner:' .. owner)
local round = math.max(tonumber(turn[1] or 0), tonumber(turn[3] or 0)) + 1
local score = lane == 'free' and FREE + now or PAID + round
if redis.call('ZADD', JOBS, 'NX', score, id) == 0 then
  return redis.call('HGET', JOB .. id, 'opener') == opener and 1 or 0
end
redis.call('HSET', JOB .. id, 'opener', opener, 'lane', lane, 'opened_at', now,
           'lines', noted('', now, facts), unpack(ARGV, 6))
local wanted = offered(offer_for(lane), turn[2])
local flat = wanted and {'wanted', wanted} or {}
if lane == 'paid' then
  flat[#flat + 1] = 'owner:' .. owner
  flat[#flat + 1] = round
end
if #flat > 0 then redis.call('HSET', DISPATCH, unpack(flat)) end
return 1

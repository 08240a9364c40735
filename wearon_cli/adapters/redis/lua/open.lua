-- ARGV: session_id, opener, facts, lane, owner_id, 1 to release it at once if nothing else is in
-- line, number of further values, fields and values of the job..., arguments of a release...
-- Opens an entry unless one is open. Fair queueing: an owner's n-th ready job is in the n-th round
-- from now, so a burst of one owner does not hold up the others.
-- Returns 0 or 1, and what the release found, if there was one.
local id, opener, facts, lane, owner = unpack(ARGV, 1, 5)
local releases, more = ARGV[6] == '1', tonumber(ARGV[7])
local now = time()
local names = {unpack(STATE)}
names[#names + 1] = 'owner:' .. owner
local values = redis.call('HMGET', DISPATCH, unpack(names))
local state = state_of(values)
local round = math.max(state.round, tonumber(values[#names] or 0)) + 1
local score = lane == 'free' and FREE + now or PAID + round
if redis.call('ZADD', JOBS, 'NX', score, id) == 0 then
  return {redis.call('HGET', JOB .. id, 'opener') == opener and 1 or 0} -- 1: sent again
end
redis.call('HSET', JOB .. id, 'opener', opener, 'lane', lane, 'opened_at', now,
           'lines', noted('', now, facts), unpack(ARGV, 8, 7 + more))
local changes = {}
if lane == 'paid' then changes['owner:' .. owner] = round end
if releases and state.wanted == 'job' then
  return {1, release(now, state, changes, release_arguments(8 + more))}
end
changes.wanted = offered(offer_for(lane), state.wanted)
if next(changes) then redis.call('HSET', DISPATCH, unpack(flattened(changes))) end
return {1}

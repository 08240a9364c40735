-- ARGV: limit, deadline_s, most unclaimed, request_gap_s, picture_gap_s, burst, probe_s, providers...
-- Takes ready jobs out of line whose message is to be sent now.
-- Returns seconds until the next pass or '', how many were due, how many had not been claimed, and
-- session id, channel, request id and release number of each job.
local limit, deadline_s, most_unclaimed, request_gap_s, picture_gap_s, burst, probe_s =
  unpack(ARGV, 1, 7)
limit, most_unclaimed = tonumber(limit), tonumber(most_unclaimed)
local UNCLAIMED_PAUSE_S = 1 -- claims are not signalled: workers this slow are an exception
local now = time()
local turn = redis.call('HMGET', DISPATCH, 'round', 'next_at', 'slots', 'wanted', 'gated')
local round, next_at = tonumber(turn[1] or 0), tonumber(turn[2] or 0)
local slots, gated = tonumber(turn[3] or 0), turn[5]

-- The jobs with the lowest scores: released ones, ready ones, and perhaps the first that waits.
local function window()
  local size = most_unclaimed + limit + 1
  local flat = redis.call('ZRANGE', JOBS, 0, size - 1, 'WITHSCORES')
  local found = {released = {}, ready = {}}
  local full = #flat == 2 * size
  for i = 1, #flat, 2 do
    local job = {id = flat[i], score = tonumber(flat[i + 1])}
    if job.score < FREE_HEAD then
      found.released[#found.released + 1] = job
    elseif job.score < WAITING then
      found.ready[#found.ready + 1] = job
    elseif job.score < RUNNING and not found.due_at then
      found.due_at = job.score
    end
  end
  if full and not found.due_at then
    local first = redis.call('ZRANGEBYSCORE', JOBS, WAITING, '(' .. RUNNING, 'WITHSCORES',
                             'LIMIT', 0, 1)
    found.due_at = tonumber(first[2])
  end
  return found
end

local function back_to_the_head(id)
  local job = read(id, 'lane')
  redis.call('ZADD', JOBS, head(job.lane, now, round), id)
end

local function unclaimed_back(released)
  local count = 0
  for _, job in ipairs(released) do
    if job.score - RELEASED <= now then
      back_to_the_head(job.id)
      redis.call('HINCRBY', JOB .. job.id, 'unclaimed', 1)
      count = count + 1
    end
  end
  return count
end

local function due_back(due_at)
  if not due_at or due_at > now then return 0 end
  local due = redis.call('ZRANGEBYSCORE', JOBS, WAITING, now, 'LIMIT', 0, limit)
  for _, id in ipairs(due) do back_to_the_head(id) end
  return #due
end

local found = window()
local unclaimed, due = unclaimed_back(found.released), due_back(found.due_at)
if unclaimed + due > 0 then found = window() end

local most = math.min(limit, most_unclaimed - #found.released)
if #found.ready > 0 and most > 0 then
  local running = redis.call('ZCOUNT', JOBS, RUNNING, '+inf')
  most = math.min(most, slots - running - #found.released)
end

local answer, changes, wait_s = {}, {}, nil
local function wait(seconds)
  if not wait_s or seconds < wait_s then wait_s = seconds end
end

-- What stops the release here, if anything: 'slot', 'free' or nil. Adds the time to wait for it.
local function stopped(count)
  if count < most then return nil end
  if count >= limit then
    wait(0)
  elseif #found.released + count >= most_unclaimed then
    wait(UNCLAIMED_PAUSE_S)
  end
  return 'slot'
end

-- Whether pace and breakers let a PAID job go. Takes its time from the pace if so.
local barrier = gated == '1' and #found.ready > 0 and gate(8) or {names = {}}
local function passes(ready, left)
  if #barrier.names > 0 and barrier.until_at > now then
    wait(barrier.until_at - now)
    return false
  end
  local gap_s = tonumber(request_gap_s)
  if tonumber(picture_gap_s) > 0 then
    local pictures = tonumber(redis.call('HGET', JOB .. ready.id, 'pictures') or 0)
    gap_s = math.max(gap_s, picture_gap_s * pictures)
  end
  local early_s = next_at - now - gap_s * (burst - 1)
  if early_s > 0 then
    -- With more in line the next pass takes several, which the burst allows: fewer passes.
    wait(early_s + gap_s * (math.min(math.floor((burst + 1) / 2), left) - 1))
    return false
  end
  next_at = math.max(now, next_at) + gap_s
  round = math.max(round, math.ceil(ready.score))
  changes.next_at, changes.round = next_at, round
  for _, name in ipairs(barrier.names) do
    barrier.until_at = now + probe_s
    barrier.open[name].job_at = barrier.until_at
    redis.call('HSET', BREAKERS, name, cjson.encode(barrier.open[name]))
  end
  return true
end

local function take(id)
  local job = read(id, 'channel', 'request_id', 'claims', 'unclaimed')
  redis.call('ZADD', JOBS, RELEASED + now + deadline_s, id)
  local number = (tonumber(job.claims) or 0) + (tonumber(job.unclaimed) or 0) + 1
  for _, part in ipairs({id, job.channel, job.request_id, number}) do
    answer[#answer + 1] = part
  end
end

local wanted, count = 'job', 0
for i, ready in ipairs(found.ready) do
  local paid = ready.score > FREE / 2
  wanted = stopped(count) or paid and not passes(ready, #found.ready - i + 1) and 'free' or 'job'
  if wanted ~= 'job' then break end
  take(ready.id)
  count = count + 1
end

local first = found.released[1]
if first then wait(first.score - RELEASED - now) elseif count > 0 then wait(tonumber(deadline_s)) end
if found.due_at then wait(math.max(0, found.due_at - now)) end
if wanted ~= turn[4] then changes.wanted = wanted end
if next(changes) then
  local flat = {}
  for name, value in pairs(changes) do
    flat[#flat + 1] = name
    flat[#flat + 1] = value
  end
  redis.call('HSET', DISPATCH, unpack(flat))
end

-- Owners without a job in line are forgotten now and then.
local FORGET_EVERY_ROUNDS = 64
if changes.round and math.floor(changes.round / FORGET_EVERY_ROUNDS)
    > math.floor(tonumber(turn[1] or 0) / FORGET_EVERY_ROUNDS) then
  local all = redis.call('HGETALL', DISPATCH)
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 6) == 'owner:' and tonumber(all[i + 1]) <= changes.round then
      redis.call('HDEL', DISPATCH, all[i])
    end
  end
end
return {wait_s and tostring(wait_s) or '', due, unclaimed, answer}

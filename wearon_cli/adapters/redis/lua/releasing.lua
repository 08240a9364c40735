-- Included after common.lua and breakers.lua, before the scripts that release jobs.

-- Claims are not signalled, so a burst into many free slots is released a few jobs in each pass.
local UNCLAIMED_PAUSE_S = 0.2
local FORGET_EVERY_ROUNDS = 64
local PRECISION_S = 0.001 -- sums of gaps are not exact

-- The arguments of a release, in ARGV from `first` on.
local function release_arguments(first)
  local names = {'limit', 'deadline_s', 'most_unclaimed', 'request_gap_s', 'picture_gap_s',
                 'burst', 'probe_s'}
  local found = {first_provider = first + #names}
  for i, name in ipairs(names) do found[name] = tonumber(ARGV[first + i - 1]) end
  return found
end

-- The jobs with the lowest scores: released ones, ready ones, and the first that waits.
local function window(size)
  local flat = redis.call('ZRANGE', JOBS, 0, size - 1, 'WITHSCORES')
  local found = {released = {}, ready = {}}
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
  if #flat == 2 * size and not found.due_at then
    local first = redis.call('ZRANGEBYSCORE', JOBS, WAITING, '(' .. RUNNING, 'WITHSCORES',
                             'LIMIT', 0, 1)
    found.due_at = tonumber(first[2])
  end
  return found
end

-- Make ready, at the head of their lanes, what is due and what was not claimed in time.
-- Returns how many of each.
local function return_late(found, now, round, limit)
  local function to_the_head(id)
    redis.call('ZADD', JOBS, head(read(id, 'lane').lane, now, round), id)
  end
  local due, unclaimed = 0, 0
  for _, job in ipairs(found.released) do
    if job.score - RELEASED <= now then
      to_the_head(job.id)
      redis.call('HINCRBY', JOB .. job.id, 'unclaimed', 1)
      unclaimed = unclaimed + 1
    end
  end
  if found.due_at and found.due_at <= now then
    local ids = redis.call('ZRANGEBYSCORE', JOBS, WAITING, now, 'LIMIT', 0, limit)
    for _, id in ipairs(ids) do to_the_head(id) end
    due = #ids
  end
  return due, unclaimed
end

-- The number of free slots of all workers.
local function room(found, state, with)
  local most = math.min(with.limit, with.most_unclaimed - #found.released)
  if #found.ready == 0 or most <= 0 then return most end
  local running = redis.call('ZCOUNT', JOBS, RUNNING, '+inf')
  return math.min(most, state.slots - running - #found.released)
end

-- Let a PAID job pass and move the pace forward, or return the seconds that it has to wait.
local function paid_wait_s(job, left, now, state, barrier, with)
  if #barrier.names > 0 and barrier.until_at > now then return barrier.until_at - now end
  local gap_s = with.request_gap_s
  if with.picture_gap_s > 0 then
    local pictures = tonumber(redis.call('HGET', JOB .. job.id, 'pictures') or 0)
    gap_s = math.max(gap_s, with.picture_gap_s * pictures)
  end
  local early_s = state.next_at - now - gap_s * (with.burst - 1)
  if early_s > PRECISION_S then
    -- With more ready jobs the next pass takes several, which the burst allows: fewer passes.
    return early_s + gap_s * (math.min(math.floor((with.burst + 1) / 2), left) - 1)
  end
  state.next_at = math.max(now, state.next_at) + gap_s
  state.round = math.max(state.round, math.ceil(job.score))
  for _, name in ipairs(barrier.names) do
    barrier.until_at = now + with.probe_s
    barrier.open[name].job_at = barrier.until_at
    redis.call('HSET', BREAKERS, name, cjson.encode(barrier.open[name]))
  end
  return 0
end

-- Owners without a ready job are removed from time to time.
local function forget_owners(round)
  local all = redis.call('HGETALL', DISPATCH)
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 6) == 'owner:' and tonumber(all[i + 1]) <= round then
      redis.call('HDEL', DISPATCH, all[i])
    end
  end
end

local STATE = {'round', 'wanted', 'next_at', 'slots', 'gated'}
local function state_of(values)
  return {
    round = tonumber(values[1] or 0),
    wanted = values[2] or '',
    next_at = tonumber(values[3] or 0),
    slots = tonumber(values[4] or 0),
    gated = values[5],
  }
end

-- Release the ready jobs whose message is to be sent now. `changes` are further ones to write
-- to DISPATCH.
-- Returns seconds until the next pass or '', how many were due, how many had not been claimed, and
-- session id, channel, request id and release number of each job.
local function release(now, state, changes, with)
  local old_round, wait_s = state.round, math.huge
  local found = window(with.most_unclaimed + with.limit + 1)
  local due, unclaimed = return_late(found, now, state.round, with.limit)
  if due + unclaimed > 0 then found = window(with.most_unclaimed + with.limit + 1) end
  local most = room(found, state, with)
  local barrier = {names = {}}
  if state.gated and #found.ready > 0 then barrier = gate(with.first_provider) end

  local answer, count, wanted = {}, 0, 'job'
  for i, ready in ipairs(found.ready) do
    if count >= most then
      wanted = 'slot'
      if count >= with.limit then
        wait_s = 0
      elseif #found.released + count >= with.most_unclaimed then
        wait_s = UNCLAIMED_PAUSE_S
      end
      break
    end
    if ready.score > FREE / 2 then
      local paid_s = paid_wait_s(ready, #found.ready - i + 1, now, state, barrier, with)
      if paid_s > 0 then
        wanted, wait_s = 'free', paid_s
        break
      end
      changes.next_at, changes.round = state.next_at, state.round
    end
    local job = read(ready.id, 'channel', 'request_id', 'attempt', 'unclaimed')
    local number = (tonumber(job.attempt) or 0) + (tonumber(job.unclaimed) or 0) + 1
    redis.call('ZADD', JOBS, RELEASED + now + with.deadline_s, ready.id)
    for _, part in ipairs({ready.id, job.channel, job.request_id, number}) do
      answer[#answer + 1] = part
    end
    count = count + 1
  end

  if found.released[1] then
    wait_s = math.min(wait_s, found.released[1].score - RELEASED - now)
  elseif count > 0 then
    wait_s = math.min(wait_s, with.deadline_s)
  end
  if found.due_at then wait_s = math.min(wait_s, math.max(0, found.due_at - now)) end

  if wanted ~= state.wanted then changes.wanted = wanted end
  if next(changes) then redis.call('HSET', DISPATCH, unpack(flattened(changes))) end
  if math.floor(state.round / FORGET_EVERY_ROUNDS) > math.floor(old_round / FORGET_EVERY_ROUNDS) then
    forget_owners(state.round)
  end
  return {wait_s < math.huge and tostring(wait_s) or '', due, unclaimed, answer}
end

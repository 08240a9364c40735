-- Included before each script that works on jobs, with the names of the keys (keys.py).
--
-- Every open job is a member of the sorted set JOBS, and its score says in which state it is:
local RELEASED = -1e11 -- plus its deadline: its message was sent, and no worker has claimed it
local FREE_HEAD = -2e10 -- plus a time: ready, in front of the FREE lane
local FREE = -1e10 -- plus its time of arrival: ready, in the FREE lane
local PAID = 0 -- from here: ready, in the PAID lane; its round of the fair order
local WAITING = 1e9 -- from here: the time when it is due
local RUNNING = 1e11 -- plus the number of its worker

local MOST_LINES_BYTES = 12000
local DAY_S = 86400

-- Redis's clock, in seconds.
local function time()
  local now = redis.call('TIME')
  return now[1] + now[2] / 1000000
end

-- The fields of a job named, by their names; those that are missing are ''.
local function read(id, ...)
  local values, job = redis.call('HMGET', JOB .. id, ...), {}
  for i, name in ipairs({...}) do job[name] = values[i] or '' end
  return job
end

local function flattened(changes)
  local flat = {}
  for name, value in pairs(changes) do
    flat[#flat + 1] = name
    flat[#flat + 1] = value
  end
  return flat
end

local function write(id, changes)
  redis.call('HSET', JOB .. id, unpack(flattened(changes)))
end

-- The lines of a job's timeline with one more. `facts` is a JSON object that names its event;
-- `more` is further members of it. An open job keeps its lines itself: no command of their own.
local function noted(lines, now, facts, more)
  local new = string.format('{"at":%.3f,%s%s}\n', now, string.sub(facts, 2, -2), more or '')
  if #lines > MOST_LINES_BYTES then
    lines = string.match(string.sub(lines, -MOST_LINES_BYTES / 2), '\n(.*)$')
  end
  return lines .. new
end

-- The number of an attempt, as a member of a line: counted over all jobs of the session.
local function numbered(job)
  return string.format(',"attempt":%d', (tonumber(job.earlier) or 0) + (tonumber(job.attempt) or 0))
end

-- Add lines to the timeline of a session without an open job, and keep the newest.
local function keep_lines(id, lines)
  local key = TIMELINE .. id
  if redis.call('SET', key, lines, 'EX', TIMELINE_LIFE_S, 'NX') then return end
  local kept = {}
  for line in string.gmatch(redis.call('GET', key) .. lines, '[^\n]+') do kept[#kept + 1] = line end
  local first = math.max(1, #kept - TIMELINE_ENTRIES + 1)
  redis.call('SET', key, table.concat(kept, '\n', first) .. '\n', 'EX', TIMELINE_LIFE_S)
end

-- Wake one consumer to look for jobs to release.
local function signal()
  if redis.call('LPUSH', SIGNAL, 1) > 1 then redis.call('LTRIM', SIGNAL, 0, 0) end
end

-- What the last release lacked: 'job' (any ready one), 'free' (a ready job of
-- the FREE lane), 'slot' (of a worker). The first that comes is signalled.
local function offered(what, wanted)
  if wanted == what or (what == 'free' and wanted == 'job') then
    signal()
    return ''
  end
end

local function offer(what, wanted)
  local now_wanted = offered(what, wanted)
  if now_wanted then redis.call('HSET', DISPATCH, 'wanted', now_wanted) end
end

local function offer_for(lane)
  return lane == 'free' and 'free' or 'job'
end

-- The score of a job that goes to the head of its lane.
local function head(lane, now, round)
  if lane == 'free' then return FREE_HEAD + now end
  return (tonumber(round) or 0) - 0.5
end

-- Add to a count in the hash of a day, which expires counted from its first one.
local function count_of_day(key, field, step)
  if redis.call('HINCRBY', key, field, string.format('%.0f', step)) == step then
    redis.call('EXPIRE', key, BOOK_LIFE_S)
  end
end

-- Count a purchase in the book of a day, or take it out again (sign -1). One number holds how many
-- and what they cost, so that neither is ever without the other.
local function book(entry, outcome, sign)
  if entry.free then return end
  local field = cjson.encode({entry.owner, entry.provider, entry.model, outcome})
  count_of_day(BOOK .. entry.day, field, sign * (1e12 + entry.micro_usd))
end

-- End the open purchase of a job: into the book, and into the job's own sums. Returns the changes
-- of its fields. `micro_usd` is '' when the bill is not known; `cause` is a JSON object that says why
-- there is no picture, or ''. A job without any picture is PAID again. A free purchase (a preview) is
-- in no book and no sum.
local PURCHASE = {'purchase', 'ticket', 'purchases', 'book_owner', 'lost', 'micro_usd', 'booked',
                  'picture_held'}
local function ended(job, now, outcome, micro_usd, model, cause)
  local changes = {purchase = '', ticket = ''}
  if job.ticket ~= '' then
    local ticket = '{"ticket":' .. cjson.encode(job.ticket) .. ','
    changes.to_forget = ticket .. string.sub(job.purchase, 2)
  end
  local has_picture = outcome == 'kept' or outcome == 'fetched'
  local has_none = not has_picture and job.picture_held == ''
  if job.ticket ~= '' and has_none then changes.lane = 'paid' end
  local purchase = cjson.decode(job.purchase)
  if not has_picture and not purchase.free then
    local failed = cause and cause ~= '' and cjson.decode(cause) or {}
    failed.provider, failed.model = purchase.provider, purchase.model
    changes.failed_call = cjson.encode(failed)
  end
  if outcome == 'not_billed' or purchase.free then
    changes.purchases = job.purchases - 1 -- nothing was bought
    if not has_picture then return changes end
  end
  local entry = {
    day = math.floor(now / DAY_S),
    owner = job.book_owner,
    provider = purchase.provider,
    model = model or purchase.model,
    micro_usd = tonumber(micro_usd) or purchase.expected_micro_usd or 0,
    free = purchase.free,
  }
  book(entry, outcome, 1)
  changes.micro_usd = string.format('%.0f', (tonumber(job.micro_usd) or 0) + entry.micro_usd)
  if outcome == 'lost' then changes.lost = (tonumber(job.lost) or 0) + 1 end
  if has_picture then
    if job.booked ~= '' then -- the picture that the new one replaces
      local old = cjson.decode(job.booked)
      book(old, old.outcome, -1)
      book(old, 'replaced', 1)
    end
    entry.outcome = outcome
    changes.booked = cjson.encode(entry)
  end
  return changes
end

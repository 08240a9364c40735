-- ARGV: session_id, token, facts, ending, error_code, cost in micro-USD or ''
-- Deletes the entry. The timeline, the session's record and the book remain.
local id, token, facts, ending, error_code, micro_usd = unpack(ARGV)
local now = time()
local names = {'token', 'lines', 'attempt', 'booked', 'input_paths', 'event', 'failed_by_us',
               'earlier', 'failed_call', 'to_forget',
               unpack(PURCHASE)}
local job = read(id, unpack(names))
if job.token == '' and redis.call('EXISTS', JOB .. id) == 0 then return 1 end -- sent again
if job.token ~= token then return 0 end

-- Count this job in its minute. A dropped job had ended before.
local function count_ending()
  if ending == 'dropped' then return end
  local key = MINUTES .. math.floor(now / 3600)
  local field = string.format('%d ', math.floor(now / 60) % 60)
  field = field .. (ending == 'completed' and ending or 'failed ' .. error_code)
  if redis.call('HINCRBY', key, field, 1) == 1 then redis.call('EXPIRE', key, MINUTES_LIFE_S) end
end

local completed = ending == 'completed'
if job.purchase ~= '' then -- its end was not recorded
  local changes = ended(job, now, completed and 'kept' or 'lost', micro_usd)
  for name, value in pairs(changes) do job[name] = value end
end
local booked = job.booked ~= '' and cjson.decode(job.booked) or nil
if booked and not completed then
  book(booked, booked.outcome, -1)
  book(booked, 'unused', 1)
  booked = nil
end

local has_failed = ending == 'failed' or ending == 'parked'
local failed_call = job.failed_call ~= '' and cjson.decode(job.failed_call) or nil
if has_failed then
  local call = failed_call or {}
  local field = {job.book_owner, error_code, call.provider or '', call.model or '', call.code or ''}
  count_of_day(FAILURES .. math.floor(now / DAY_S), cjson.encode(field), 1)
end

local record = {
  attempts = tonumber(job.attempt) or 0,
  purchases = tonumber(job.purchases) or 0,
  lost = tonumber(job.lost) or 0,
  micro_usd = tonumber(job.micro_usd) or 0,
  replays = job.event == 'replayed' and 1 or 0,
  input_paths = job.input_paths ~= '' and job.input_paths or nil,
  error_code = has_failed and error_code or nil,
  failed_call = has_failed and failed_call or nil,
  failed_by_us = job.failed_by_us ~= '' or nil,
  parked = ending == 'parked' or nil,
  booked = booked,
  tickets = job.to_forget ~= '' and {job.to_forget} or nil,
}
local key = RECORD .. id
if not redis.call('SET', key, cjson.encode(record), 'EX', RECORD_LIFE_S, 'NX') then
  local old = cjson.decode(redis.call('GET', key))
  if booked and old.booked then
    book(old.booked, old.booked.outcome, -1)
    book(old.booked, 'replaced', 1)
  end
  for _, sum in ipairs({'attempts', 'purchases', 'lost', 'micro_usd', 'replays'}) do
    record[sum] = record[sum] + (old[sum] or 0)
  end
  if ending == 'dropped' then record.parked = old.parked end
  if not completed then record.forgotten_at = old.forgotten_at end
  for _, ticket in ipairs(old.tickets or {}) do
    record.tickets = record.tickets or {}
    table.insert(record.tickets, ticket)
  end
  for _, kept in ipairs({'input_paths', 'error_code', 'failed_by_us', 'booked'}) do
    if record[kept] == nil then record[kept] = old[kept] end
  end
  if not has_failed then record.failed_call = old.failed_call end -- of the last failure
  redis.call('SET', key, cjson.encode(record), 'EX', RECORD_LIFE_S)
end

count_ending()
keep_lines(id, noted(job.lines, now, facts, numbered(job)))
redis.call('DEL', JOB .. id)
redis.call('ZREM', JOBS, id)
if job.picture_held ~= '' then
  redis.call('DEL', HELD_PICTURE .. id)
  redis.call('ZREM', HELD_PICTURES, id)
end
offer('slot', redis.call('HGET', DISPATCH, 'wanted'))
return 1

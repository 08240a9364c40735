-- ARGV: session_id, token, facts, number, purchase, window_s, most requests, pictures, most pictures
-- Two moving windows over all workers, as logs of the newest permits: 13 digits each, in
-- milliseconds. There are never more than this many permits in any window, wherever it begins.
-- Returns '0' when the purchase is recorded, 'lost' when the job is another's, otherwise seconds.
local id, token, facts, number, purchase = unpack(ARGV, 1, 5)
local window_s, most_requests, pictures, most_pictures = unpack(ARGV, 6)
pictures = tonumber(pictures)
local now = time()
local job = read(id, 'token', 'lines', unpack(PURCHASE))
if job.token ~= token then return 'lost' end
if (tonumber(job.purchases) or 0) >= tonumber(number) then return '0' end -- sent again

local DIGITS = 13
local function missing_s(log, wanted, most)
  local in_the_way = (most - wanted + 1) * DIGITS -- the permit that has to leave the window first
  if #log < in_the_way then return 0 end
  local at_ms = string.sub(log, -in_the_way, DIGITS - 1 - in_the_way)
  return at_ms / 1000 + window_s - now
end
local function grant(key, log, wanted, most)
  local at_ms = string.format('%013.0f', math.ceil(now * 1000))
  log = string.sub(log .. string.rep(at_ms, wanted), -most * DIGITS)
  redis.call('SET', key, log, 'EX', LIMIT_LIFE_S)
end

local is_free = cjson.decode(purchase).free -- a preview: no request is sent
local requests_log, pictures_log = redis.call('GET', REQUESTS) or '', ''
local wait_s = missing_s(requests_log, 1, most_requests)
if pictures > 0 then
  pictures_log = redis.call('GET', PICTURES) or ''
  wait_s = math.max(wait_s, missing_s(pictures_log, pictures, most_pictures))
end
if is_free then wait_s, pictures = 0, 0 end
if wait_s > 0 then return tostring(wait_s) end
if not is_free then grant(REQUESTS, requests_log, 1, most_requests) end
if pictures > 0 then grant(PICTURES, pictures_log, pictures, most_pictures) end

local changes = {}
if job.purchase ~= '' then changes = ended(job, now, 'lost', '') end -- its end was not recorded
changes.purchase = string.format('{"started_at":%.3f,%s', now, string.sub(purchase, 2))
changes.purchases = number
changes.ticket = ''
changes.lines = noted(job.lines, now, facts)
write(id, changes)
return '0'

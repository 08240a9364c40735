-- Included after common.lua, before the scripts about breakers.

-- The breakers that block the PAID lane, whose names follow in ARGV: that of storage, or those
-- of all providers. `until_at` is when a job may go to probe them.
local function gate(first_name)
  local flat, open = redis.call('HGETALL', BREAKERS), {}
  for i = 1, #flat, 2 do open[flat[i]] = cjson.decode(flat[i + 1]) end
  local names, first, providers_since = {}, nil, 0
  for i = first_name, #ARGV do
    local breaker = open[ARGV[i]]
    if not breaker then
      first = nil
      break
    end
    if not first or breaker.job_at < open[first].job_at then first = ARGV[i] end
    providers_since = math.max(providers_since, breaker.since)
  end
  local barrier = {names = {}, open = open, until_at = 0, since = math.huge}
  if first then
    barrier.names[1] = first
    barrier.since, barrier.reason = providers_since, open[first].reason
  end
  if open.storage then
    barrier.names[#barrier.names + 1] = 'storage'
    if open.storage.since < barrier.since then
      barrier.since, barrier.reason = open.storage.since, open.storage.reason
    end
  end
  for _, name in ipairs(barrier.names) do
    barrier.until_at = math.max(barrier.until_at, open[name].job_at)
  end
  return barrier
end

-- ARGV: session_id, token, facts, outcome, cost in micro-USD or '', model or '', usage or '',
-- ARGV: session_id, token, facts, outcome, cost in micro-USD or '', model or '', usage or '',
-- cause or '', a field of the job to mark or ''
-- Ends the open purchase. With a usage its picture is stored; else it never will be, or, with a
-- mark, only if no better one is bought.
local id, token, facts, outcome, micro_usd, model, usage, cause, mark = unpack(ARGV)
local now = time()
local job = read(id, 'token', 'lines', 'stored', unpack(PURCHASE))
if job.token ~= token then return 0 end
if job.purchase == '' and usage == '' or job.stored ~= '' then return 1 end -- sent again
local changes = {}
if job.purchase ~= '' then
  changes = ended(job, now, outcome, micro_usd, model ~= '' and model or nil, cause)
  -- In the timeline, the purchase of a preview is called a preview.
  if cjson.decode(job.purchase).free then facts = string.gsub(facts, '"purchase_', '"preview_', 1) end
end
if usage ~= '' then
  changes.stored = 1
  changes.usage = usage
end
if mark ~= '' then changes[mark] = 1 end
changes.lines = noted(job.lines, now, facts)
write(id, changes)
return 1

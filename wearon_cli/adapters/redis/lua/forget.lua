-- ARGV: session_id, facts
-- Permanently deletes the data of a session without an open job. The record keeps its totals and
-- what the credit's state depends on, the timeline this one event and earlier ones of its kind, which
-- are receipts. Returns 0 for an open job.
local id, facts = unpack(ARGV)
if redis.call('ZSCORE', JOBS, id) then return 0 end
local now = time()
local kept = redis.call('GET', RECORD .. id)
local record = kept and cjson.decode(kept) or {}
record.input_paths = nil
record.tickets = nil
record.failed_call = nil
record.forgotten_at = now
redis.call('SET', RECORD .. id, cjson.encode(record), 'EX', RECORD_LIFE_S)
local receipts = ''
for line in string.gmatch(redis.call('GET', TIMELINE .. id) or '', '[^\n]+') do
  if cjson.decode(line).event == 'forgotten' then receipts = receipts .. line .. '\n' end
end
redis.call('SET', TIMELINE .. id, noted(receipts, now, facts), 'EX', TIMELINE_LIFE_S)
redis.call('DEL', HELD_PICTURE .. id)
redis.call('ZREM', HELD_PICTURES, id)
return 1

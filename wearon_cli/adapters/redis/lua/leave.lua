-- ARGV: worker_id, facts
local id, facts = unpack(ARGV)
local known = redis.call('HGET', WORKERS, id)
if not known then return end
let_go(cjson.decode(known).number, time(), facts, false)
redis.call('HDEL', WORKERS, id)
redis.call('DEL', WORKER .. id)
count_slots()

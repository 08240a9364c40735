-- ARGV: worker_id, slots, host, pid, lease_s
local id, slots, host, pid, lease_s = unpack(ARGV)
local known = redis.call('HGET', WORKERS, id)
local number = known and cjson.decode(known).number or redis.call('HINCRBY', DISPATCH, 'worker', 1)
local worker = {number = number, slots = tonumber(slots), host = host, pid = tonumber(pid),
                since = time()}
redis.call('HSET', WORKERS, id, cjson.encode(worker))
redis.call('SET', WORKER .. id, 1, 'PX', math.floor(lease_s * 1000))
count_slots()
signal()

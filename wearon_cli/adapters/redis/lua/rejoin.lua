-- ARGV: worker_id, lease_s
-- An expired lease can be renewed as long as its jobs were not given to others.
if redis.call('HEXISTS', WORKERS, ARGV[1]) == 0 then return 0 end
redis.call('SET', WORKER .. ARGV[1], 1, 'PX', math.floor(ARGV[2] * 1000))
return 1

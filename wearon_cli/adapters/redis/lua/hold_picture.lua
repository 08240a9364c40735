-- ARGV: session_id, token, facts, picture, most, life_s
-- Its job buys nothing more to finish, so it waits for no pace and no breaker: the lane is FREE.
-- Returns 'held', 'full' when as many are held as may be, or 'lost' when the job is another's.
local id, token, facts, picture, most, life_s = unpack(ARGV)
local now = time()
local job = read(id, 'token', 'lines', 'picture_held')
if job.token ~= token then return 'lost' end
redis.call('ZREMRANGEBYSCORE', HELD_PICTURES, '-inf', now)
if job.picture_held == '' and redis.call('ZCARD', HELD_PICTURES) >= tonumber(most) then return 'full' end
redis.call('SET', HELD_PICTURE .. id, picture, 'EX', life_s)
redis.call('ZADD', HELD_PICTURES, now + life_s, id)
redis.call('EXPIRE', HELD_PICTURES, life_s)
if job.picture_held == '' then
  write(id, {picture_held = 1, lane = 'free', lines = noted(job.lines, now, facts)})
end
return 'held'

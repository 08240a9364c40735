-- ARGV: arguments of a release, see releasing.lua
local turn = turn_of(redis.call('HMGET', DISPATCH, unpack(TURN)))
return release(time(), turn, {}, release_arguments(1))

-- ARGV: arguments of a release, see releasing.lua
local state = state_of(redis.call('HMGET', DISPATCH, unpack(STATE)))
return release(time(), state, {}, release_arguments(1))

--[[
Withdraws a media node's announcement, and releases the slice that the incarnation holds, which rests from now on. What
another incarnation announced stays.

KEYS[1] registry
KEYS[2] portSlices
ARGV[1] id
ARGV[2] incarnation
Returns 1 when it was withdrawn, else 0
]]
--@include clock
--@include slices
local now = now_ms()
give_back(keys.portSlices, read_slices(keys.portSlices, now), now, args.id, args.incarnation)
local value = redis.call('HGET', keys.registry, args.id)
if value and string.match(value, '^%d+|([^|]+)|') == args.incarnation then return redis.call('HDEL', keys.registry, args.id) end
return 0

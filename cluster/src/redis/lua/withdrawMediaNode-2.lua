--[[
Takes a media node's announcement back, and gives back the slice that the incarnation holds, which rests from now on; what
another incarnation announced stays.

KEYS[1] registry
KEYS[2] portSlices
ARGV[1] id
ARGV[2] incarnation
ARGV[3] restMs
Returns 1 when it was withdrawn, else 0
]]
--@include clock
--@include slices
local now = now_ms()
give_back(KEYS[2], read_slices(KEYS[2], now, tonumber(ARGV[3])), now, ARGV[1], ARGV[2])
local value = redis.call('HGET', KEYS[1], ARGV[1])
if value and string.match(value, '^%d+|([^|]+)|') == ARGV[2] then return redis.call('HDEL', KEYS[1], ARGV[1]) end
return 0

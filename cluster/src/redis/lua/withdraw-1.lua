--[[
Takes an announcement back; does nothing where another incarnation holds the id.

KEYS[1] registry
ARGV[1] id
ARGV[2] incarnation
Returns 1 when it was withdrawn, else 0
]]
local value = redis.call('HGET', KEYS[1], ARGV[1])
if value and string.match(value, '^%d+|([^|]+)|') == ARGV[2] then return redis.call('HDEL', KEYS[1], ARGV[1]) end
return 0

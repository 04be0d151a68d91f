--[[
Withdraws an announcement; does nothing if another incarnation holds the id.

KEYS[1] registry
ARGV[1] id
ARGV[2] incarnation
Returns 1 when it was withdrawn, else 0
]]
local value = redis.call('HGET', keys.registry, args.id)
if value and string.match(value, '^%d+|([^|]+)|') == args.incarnation then return redis.call('HDEL', keys.registry, args.id) end
return 0

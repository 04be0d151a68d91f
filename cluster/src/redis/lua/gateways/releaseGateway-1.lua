--[[
Releases a gateway's claim, unless another claim replaced it meanwhile (SPEC GW22).

KEYS[1] meta
ARGV[1] datacenter
ARGV[2] homeNodeId
ARGV[3] epoch
Returns 1 when it was released, else 0
]]
local field = 'gateway|' .. args.datacenter .. '|' .. args.homeNodeId
local existing = redis.call('HGET', keys.meta, field)
if not existing or string.match(existing, '^%d+') ~= args.epoch then return 0 end
return redis.call('HDEL', keys.meta, field)

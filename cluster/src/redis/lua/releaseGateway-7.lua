--[[
Gives a gateway's claim up, unless another one took its place meanwhile (SPEC GW1).

KEYS[1] placements
KEYS[2] roster
KEYS[3] rosterOrder
KEYS[4] tracks
KEYS[5] log
KEYS[6] chat
KEYS[7] meta
ARGV[1] datacenter
ARGV[2] homeNodeId
ARGV[3] epoch
Returns 1 when it was given up, else 0
]]
local field = 'gateway|' .. ARGV[1] .. '|' .. ARGV[2]
local existing = redis.call('HGET', KEYS[7], field)
if not existing or string.match(existing, '^%d+') ~= ARGV[3] then return 0 end
return redis.call('HDEL', KEYS[7], field)

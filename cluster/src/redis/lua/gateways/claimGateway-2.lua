--[[
Claims to be a datacenter's gateway to a node elsewhere (SPEC GW1). A first claim yields to one that exists; a
replacement of a claim that is no longer live yields to the live one.

KEYS[1] placements
KEYS[2] meta
ARGV[1] datacenter
ARGV[2] homeNodeId
ARGV[3] mediaNodeId
ARGV[4] replacesEpoch - empty for a first claim
Returns {"claimed", claim value} or {"refused", error code}
]]
--@include whole
--@include next-epoch
-- A claim on a room that is gone would never be removed.
if redis.call('EXISTS', keys.placements) == 0 then return { 'refused', 'peer_not_found' } end
local field = 'gateway|' .. args.datacenter .. '|' .. args.homeNodeId
local existing = redis.call('HGET', keys.meta, field)
local epoch = existing and string.match(existing, '^(%d+)|[%w_-]+$')
if whole(epoch) and epoch ~= args.replacesEpoch then return { 'claimed', existing } end
local value = next_epoch(keys.meta) .. '|' .. args.mediaNodeId
redis.call('HSET', keys.meta, field, value)
return { 'claimed', value }

--[[
Notes that another edge now holds the peer's session (SPEC SE3).

KEYS[1] placements
KEYS[2] roster
KEYS[3] rosterOrder
KEYS[4] tracks
KEYS[5] log
KEYS[6] chat
KEYS[7] meta
ARGV[1] peerId
ARGV[2] epoch
ARGV[3] edgeId
Returns {"attached", roster value} or {"refused", error code}
]]
--@include placement
local placement = read_placement(KEYS[1], ARGV[1])
local value = redis.call('HGET', KEYS[2], ARGV[1])
if not placement or not value then return { 'refused', 'peer_not_found' } end
if placement.epoch ~= tonumber(ARGV[2]) then return { 'refused', 'stale_epoch' } end
local epoch = string.match(placement.value, '^%d+')
redis.call('HSET', KEYS[1], ARGV[1], epoch .. '|' .. placement.node .. '|' .. ARGV[3] .. '|' .. placement.request)
return { 'attached', value }

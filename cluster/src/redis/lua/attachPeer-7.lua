--[[
Notes that another edge now holds the peer's session (SPEC SE3), and that the session token of a generation is in use,
unless a newer one is (SK2).

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
ARGV[4] tokenGeneration - empty where no session token was brought
Returns {"attached", roster value, placement value, former placement value or empty, people in the roster} or {"refused", error code}
]]
--@include whole
--@include next-epoch
--@include placement
--@include former
--@include roster
--@include token
local placement = read_placement(KEYS[1], ARGV[1])
local value = redis.call('HGET', KEYS[2], ARGV[1])
if not placement or not parse_roster_peer(ARGV[1], value) then return { 'refused', 'peer_not_found' } end
if placement.epoch ~= tonumber(ARGV[2]) then return { 'refused', 'stale_epoch' } end
if ARGV[4] ~= '' then
  if tonumber(ARGV[4]) < token_in_use(KEYS[7], ARGV[1]) then return { 'refused', 'token_replayed' } end
  use_token(KEYS[7], ARGV[1], ARGV[4])
end
local epoch = string.match(placement.value, '^%d+')
-- Of two edges that take the session for theirs, the one that attached it later is right.
local attached = table.concat({ epoch, placement.node, ARGV[3], placement.request, next_epoch(KEYS[7]) }, '|')
redis.call('HSET', KEYS[1], ARGV[1], attached)
local former = read_former(KEYS[7], ARGV[1])
return { 'attached', value, attached, former and former.value or '', redis.call('HLEN', KEYS[2]) }

--[[
Notes that another edge now holds the peer's session (SPEC SE57), and that the session token of a generation is in use,
unless a newer one is (SK2).

KEYS[1] placements
KEYS[2] roster
KEYS[3] meta
ARGV[1] peerId
ARGV[2] epoch
ARGV[3] edgeId
ARGV[4] tokenGeneration - empty where no session token was brought
Returns {"attached", roster value, placement value, previous placement value or empty, people in the roster} or {"refused", error code}
]]
--@include whole
--@include next-epoch
--@include placement
--@include previous-placement
--@include roster
--@include token
local placement = read_placement(keys.placements, args.peerId)
local value = redis.call('HGET', keys.roster, args.peerId)
if not placement or not parse_roster_peer(args.peerId, value) then return { 'refused', 'peer_not_found' } end
if placement.epoch ~= tonumber(args.epoch) then return { 'refused', 'stale_epoch' } end
if args.tokenGeneration ~= '' then
  if tonumber(args.tokenGeneration) < token_in_use(keys.meta, args.peerId) then return { 'refused', 'token_replayed' } end
  use_token(keys.meta, args.peerId, args.tokenGeneration)
end
local epoch = string.match(placement.value, '^%d+')
-- Of two edges that take the session for theirs, the one that attached it later is right.
local attached = table.concat({ epoch, placement.node, args.edgeId, placement.request, next_epoch(keys.meta) }, '|')
redis.call('HSET', keys.placements, args.peerId, attached)
local previous = read_previous(keys.meta, args.peerId)
return { 'attached', value, attached, previous and previous.value or '', redis.call('HLEN', keys.roster) }

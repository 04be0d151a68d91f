--[[
Places a peer on a media node under an epoch that only grows, also over a failover that forgets writes (SPEC PL3, EP1).
A first placement yields to one that exists; a replacement of an epoch that is no longer live, or of a session that was taken
up since, yields to the live one.
A move keeps the placement that the peer lives on until it has moved (SPEC EP7).
Nobody is placed for the first time while the room is being rebuilt (RC2), or once more when the same person is there as often as
one may be (TK11).

KEYS[1] placements
KEYS[2] roster
KEYS[3] rosterOrder
KEYS[4] tracks
KEYS[5] log
KEYS[6] chat
KEYS[7] meta
ARGV[1] peerId
ARGV[2] requestId
ARGV[3] edgeId
ARGV[4] mediaNodeId
ARGV[5] replacesEpoch - empty for a first placement
ARGV[6] maxPeers
ARGV[7] keepsEpoch - of the placement that goes on until the peer has moved; empty where none does
ARGV[8] heldUnder - the newest hold of the session that the caller knows of; empty where it holds none
ARGV[9] subject - a digest of who this is; empty where it is not to be counted
ARGV[10] maxPeersOfSubject
Returns {"placed", placement value} or {"refused", error code}
]]
--@include clock
--@include whole
--@include next-epoch
--@include placement
--@include former
--@include rebuild
--@include subject
--@include keep-room
local existing = read_placement(KEYS[1], ARGV[1])
if ARGV[5] == '' then
  if existing then return { 'placed', existing.value } end
  if is_rebuilding(KEYS[7]) then return { 'refused', 'store_unavailable' } end
  if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[6]) then return { 'refused', 'room_full' } end
  if ARGV[9] ~= '' then
    local others = peers_of_subject(KEYS[1], KEYS[7], ARGV[9])
    if #others >= tonumber(ARGV[10]) then return { 'refused', 'joined_too_often' } end
    note_subject(KEYS[7], ARGV[9], others, ARGV[1])
  end
else
  if not existing then return { 'refused', 'peer_not_found' } end
  if existing.epoch ~= tonumber(ARGV[5]) then return { 'placed', existing.value } end
  if ARGV[8] ~= '' and existing.hold > tonumber(ARGV[8]) then return { 'placed', existing.value } end
end
local kept_node = nil
if ARGV[7] ~= '' then
  local former = read_former(KEYS[7], ARGV[1])
  if existing and existing.epoch == tonumber(ARGV[7]) then kept_node = existing.node end
  if former and former.epoch == tonumber(ARGV[7]) then kept_node = former.node end
  -- What the caller takes for alive is not: it has to open media anew.
  if not kept_node then return { 'refused', 'stale_epoch' } end
end
local epoch = next_epoch(KEYS[7])
local request = ARGV[2]
if existing then request = existing.request end
local value = table.concat({ epoch, ARGV[4], ARGV[3], request, epoch }, '|')
redis.call('HSET', KEYS[1], ARGV[1], value)
if kept_node then
  note_former(KEYS[7], ARGV[1], ARGV[7], kept_node)
else
  forget_former(KEYS[7], ARGV[1])
end
keep_room(KEYS)
return { 'placed', value }

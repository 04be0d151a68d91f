--[[
Places a peer on a media node under an epoch that only grows, also over a failover that forgets writes (SPEC PL3, EP1).
A first placement yields to one that exists; a replacement of an epoch that is no longer live, or of a session that was taken
up since, yields to the live one.
A move keeps the placement that the peer lives on until it has moved (SPEC EP7).
Nobody is placed for the first time while the room is being rebuilt (RC2), or once more when the same person is there as often as
one may be (TK11).

KEYS[1] placements
KEYS[2] meta
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
--@include previous-placement
--@include rebuild
--@include subject
--@include keep-keys
local existing = read_placement(keys.placements, args.peerId)
if args.replacesEpoch == '' then
  if existing then return { 'placed', existing.value } end
  if is_rebuilding(keys.meta) then return { 'refused', 'store_unavailable' } end
  if redis.call('HLEN', keys.placements) >= tonumber(args.maxPeers) then return { 'refused', 'room_full' } end
  if args.subject ~= '' then
    local others = peers_of_subject(keys.placements, keys.meta, args.subject)
    if #others >= tonumber(args.maxPeersOfSubject) then return { 'refused', 'joined_too_often' } end
    note_subject(keys.meta, args.subject, others, args.peerId)
  end
else
  if not existing then return { 'refused', 'peer_not_found' } end
  if existing.epoch ~= tonumber(args.replacesEpoch) then return { 'placed', existing.value } end
  if args.heldUnder ~= '' and existing.hold > tonumber(args.heldUnder) then return { 'placed', existing.value } end
end
local kept_node = nil
if args.keepsEpoch ~= '' then
  local previous = read_previous(keys.meta, args.peerId)
  if existing and existing.epoch == tonumber(args.keepsEpoch) then kept_node = existing.node end
  if previous and previous.epoch == tonumber(args.keepsEpoch) then kept_node = previous.node end
  -- What the caller takes for alive is not: it has to open media anew.
  if not kept_node then return { 'refused', 'stale_epoch' } end
end
local epoch = next_epoch(keys.meta)
local request = args.requestId
if existing then request = existing.request end
local value = table.concat({ epoch, args.mediaNodeId, args.edgeId, request, epoch }, '|')
redis.call('HSET', keys.placements, args.peerId, value)
if kept_node then
  note_previous(keys.meta, args.peerId, args.keepsEpoch, kept_node)
else
  forget_previous(keys.meta, args.peerId)
end
keep_keys({ keys.placements, keys.meta })
return { 'placed', value }

--[[
Adds a placed peer to the roster and gives the room with the peer in it. A peer already in the roster stays as it is.
Refuses while the room is being rebuilt (SPEC RC2).

KEYS[1] placements
KEYS[2] roster
KEYS[3] rosterOrder
KEYS[4] tracks
KEYS[5] log
KEYS[6] chat
KEYS[7] entries
KEYS[8] meta
ARGV[1] peerId
ARGV[2] epoch
ARGV[3] displayName
ARGV[4] role
ARGV[5] pageSize
Returns {"joined", roster value, event or {}, snapshot, generation of its session tokens in use} or {"refused", error code}
]]
--@include clock
--@include whole
--@include last-event
--@include add-entry
--@include append-event
--@include placement
--@include roster
--@include snapshot
--@include token
--@include rebuild
--@include keep-keys
local placement = read_placement(keys.placements, args.peerId)
if not placement then return { 'refused', 'peer_not_found' } end
if placement.epoch ~= tonumber(args.epoch) then return { 'refused', 'stale_epoch' } end
if is_rebuilding(keys.meta) then return { 'refused', 'store_unavailable' } end
local value = redis.call('HGET', keys.roster, args.peerId)
local event = {}
if not parse_roster_peer(args.peerId, value) then
  local last = whole(redis.call('HGET', keys.meta, 'joinSequence'))
  if not last then last = tonumber(redis.call('ZREVRANGE', keys.rosterOrder, 0, 0, 'WITHSCORES')[2] or 0) end
  local sequence = last + 1
  redis.call('HSET', keys.meta, 'joinSequence', string.format('%.0f', sequence))
  value = string.format('%.0f|%.0f|', sequence, now_ms()) .. args.role .. '|' .. args.displayName
  redis.call('HSET', keys.roster, args.peerId, value)
  redis.call('ZADD', keys.rosterOrder, sequence, args.peerId)
  event = append_event(keys.log, keys.meta, { type = 'peer.joined', peer = parse_roster_peer(args.peerId, value) })
end
keep_keys({ keys.roster, keys.rosterOrder, keys.log, keys.meta })
local room = snapshot({
  roster = keys.roster, rosterOrder = keys.rosterOrder, tracks = keys.tracks, log = keys.log, chat = keys.chat, entries = keys.entries,
  meta = keys.meta,
}, tonumber(args.pageSize))
return { 'joined', value, event, room, token_in_use(keys.meta, args.peerId) }

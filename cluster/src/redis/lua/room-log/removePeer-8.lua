--[[
Removes a peer with its placement, tracks and entries, unless its placement is newer than the epoch, or its session was taken up
after heldUnder (empty: whoever holds it). The last one to go takes the whole room with it: no key remains (SPEC LG4).
Only where it was put out it stays noted for a while, so that the edge which holds its session learns of it (RC4).

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
ARGV[3] reason
ARGV[4] heldUnder
Returns list of events
]]
--@include clock
--@include whole
--@include last-event
--@include add-entry
--@include append-event
--@include placement
--@include previous-placement
--@include track
--@include peer-list
--@include peer-tracks
--@include tombstones
--@include subject
--@include entry-state
--@include entries
--@include forget-entries
--@limit FAREWELL_KEPT_MS
local placement = read_placement(keys.placements, args.peerId)
if placement and placement.epoch > tonumber(args.epoch) then return {} end
if placement and args.heldUnder ~= '' and placement.hold > tonumber(args.heldUnder) then return {} end
local events = {}
for _, track_id in ipairs(track_ids_of(keys.meta, args.peerId)) do
  local track = parse_track(redis.call('HGET', keys.tracks, track_id))
  if track and track.peer == args.peerId then
    redis.call('HDEL', keys.tracks, track_id)
    note_gone(keys.meta, 'track', track_id)
    events[#events + 1] = append_event(keys.log, keys.meta,
      { type = 'track.ended', trackId = track_id, peerId = args.peerId, reason = 'peer_left' })
  end
end
note_track_ids(keys.meta, args.peerId, {})
redis.call('HDEL', keys.placements, args.peerId)
redis.call('HDEL', keys.meta, 'token|' .. args.peerId)
forget_subject(keys.placements, keys.meta, args.peerId)
forget_previous(keys.meta, args.peerId)
forget_entries_of(keys.entries, keys.meta, args.peerId)
redis.call('ZREM', keys.rosterOrder, args.peerId)
if redis.call('HDEL', keys.roster, args.peerId) == 1 then
  note_gone(keys.meta, 'peer', args.peerId)
  events[#events + 1] = append_event(keys.log, keys.meta, { type = 'peer.left', peerId = args.peerId, reason = args.reason })
end
if redis.call('HLEN', keys.placements) == 0 then
  if args.reason == 'left' or args.reason == 'connection_lost' then
    redis.call('DEL', keys.placements, keys.roster, keys.rosterOrder, keys.tracks, keys.log, keys.chat, keys.entries, keys.meta)
  else
    redis.call('DEL', keys.placements, keys.roster, keys.rosterOrder, keys.tracks, keys.log, keys.chat, keys.entries)
    keep_only_tombstones(keys.meta)
    redis.call('PEXPIRE', keys.meta, FAREWELL_KEPT_MS)
  end
end
return events

--[[
Removes a peer with its placement and tracks, unless its placement is newer than the epoch, or its session was taken up
after heldUnder (empty: whoever holds it). The last one to go takes the whole room with it: no key remains (SPEC LG4).
Only where it was put out it stays noted for a while, so that the edge which holds its session learns of it (RC4).

KEYS[1] placements
KEYS[2] roster
KEYS[3] rosterOrder
KEYS[4] tracks
KEYS[5] log
KEYS[6] chat
KEYS[7] meta
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
--@include former
--@include track
--@include peer-tracks
--@include tombstones
--@include subject
--@limit FAREWELL_KEPT_MS
local placement = read_placement(KEYS[1], ARGV[1])
if placement and placement.epoch > tonumber(ARGV[2]) then return {} end
if placement and ARGV[4] ~= '' and placement.hold > tonumber(ARGV[4]) then return {} end
local events = {}
for _, track_id in ipairs(track_ids_of(KEYS[7], ARGV[1])) do
  local track = parse_track(redis.call('HGET', KEYS[4], track_id))
  if track and track.peer == ARGV[1] then
    redis.call('HDEL', KEYS[4], track_id)
    note_gone(KEYS[7], 'track', track_id)
    events[#events + 1] = append_event(KEYS[5], KEYS[7],
      { type = 'track.ended', trackId = track_id, peerId = ARGV[1], reason = 'peer_left' })
  end
end
note_track_ids(KEYS[7], ARGV[1], {})
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[7], 'token|' .. ARGV[1])
forget_subject(KEYS[1], KEYS[7], ARGV[1])
forget_former(KEYS[7], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
if redis.call('HDEL', KEYS[2], ARGV[1]) == 1 then
  note_gone(KEYS[7], 'peer', ARGV[1])
  events[#events + 1] = append_event(KEYS[5], KEYS[7], { type = 'peer.left', peerId = ARGV[1], reason = ARGV[3] })
end
if redis.call('HLEN', KEYS[1]) == 0 then
  if ARGV[3] == 'left' or ARGV[3] == 'connection_lost' then
    redis.call('DEL', unpack(KEYS))
  else
    redis.call('DEL', KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6])
    keep_only_tombstones(KEYS[7])
    redis.call('PEXPIRE', KEYS[7], FAREWELL_KEPT_MS)
  end
end
return events

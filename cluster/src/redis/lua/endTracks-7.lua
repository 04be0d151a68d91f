--[[
Removes tracks; those that are gone change nothing.

KEYS[1] placements
KEYS[2] roster
KEYS[3] rosterOrder
KEYS[4] tracks
KEYS[5] log
KEYS[6] chat
KEYS[7] meta
ARGV[1] reason
ARGV[2] trackIds - joined by a comma, which no id can hold
Returns list of events
]]
--@include clock
--@include whole
--@include last-event
--@include add-entry
--@include append-event
--@include track
--@include peer-tracks
--@include tombstones
local events = {}
for track_id in string.gmatch(ARGV[2], '[^,]+') do
  local value = redis.call('HGET', KEYS[4], track_id)
  if value then
    redis.call('HDEL', KEYS[4], track_id)
    local track = parse_track(value)
    if track then
      forget_track_of(KEYS[7], track.peer, track_id)
      note_gone(KEYS[7], 'track', track_id)
      events[#events + 1] = append_event(KEYS[5], KEYS[7],
        { type = 'track.ended', trackId = track_id, peerId = track.peer, reason = ARGV[1] })
    end
  end
end
return events

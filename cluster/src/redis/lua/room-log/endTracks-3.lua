--[[
Removes tracks; ignores those that are already gone.

KEYS[1] tracks
KEYS[2] log
KEYS[3] meta
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
--@include peer-list
--@include peer-tracks
--@include tombstones
local events = {}
for track_id in string.gmatch(args.trackIds, '[^,]+') do
  local value = redis.call('HGET', keys.tracks, track_id)
  if value then
    redis.call('HDEL', keys.tracks, track_id)
    local track = parse_track(value)
    if track then
      forget_track_of(keys.meta, track.peer, track_id)
      note_gone(keys.meta, 'track', track_id)
      events[#events + 1] = append_event(keys.log, keys.meta,
        { type = 'track.ended', trackId = track_id, peerId = track.peer, reason = args.reason })
    end
  end
end
return events

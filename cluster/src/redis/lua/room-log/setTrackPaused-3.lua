--[[
Notes the publisher's mute. Changes nothing if the track is gone or is already in that state.

KEYS[1] tracks
KEYS[2] log
KEYS[3] meta
ARGV[1] trackId
ARGV[2] paused - 0 or 1
Returns list of events
]]
--@include whole
--@include last-event
--@include add-entry
--@include append-event
--@include track
local value = redis.call('HGET', keys.tracks, args.trackId)
local paused = args.paused == '1'
local track = parse_track(value)
if not track or track.paused == paused then return {} end
local changed = string.gsub(value, '|[01](|?[%w_-]*)$', '|' .. args.paused .. '%1')
redis.call('HSET', keys.tracks, args.trackId, changed)
return { append_event(keys.log, keys.meta, { type = 'track.changed', trackId = args.trackId, paused = paused }) }

--[[
Notes the publisher's mute. A track that is gone, or a state it has already, changes nothing.

KEYS[1] placements
KEYS[2] roster
KEYS[3] rosterOrder
KEYS[4] tracks
KEYS[5] log
KEYS[6] chat
KEYS[7] meta
ARGV[1] trackId
ARGV[2] paused - 0 or 1
Returns list of events
]]
--@include whole
--@include last-event
--@include add-entry
--@include append-event
--@include track
local value = redis.call('HGET', KEYS[4], ARGV[1])
local paused = ARGV[2] == '1'
local track = parse_track(value)
if not track or track.paused == paused then return {} end
local changed = string.gsub(value, '|[01](|?[%w_-]*)$', '|' .. ARGV[2] .. '%1')
redis.call('HSET', KEYS[4], ARGV[1], changed)
return { append_event(KEYS[5], KEYS[7], { type = 'track.changed', trackId = ARGV[1], paused = paused }) }

--[[
Publishes a track of a placed peer, or publishes it again as it is now: a repeat that changes nothing makes no event.

KEYS[1] placements
KEYS[2] roster
KEYS[3] rosterOrder
KEYS[4] tracks
KEYS[5] log
KEYS[6] chat
KEYS[7] meta
ARGV[1] trackId
ARGV[2] epoch
ARGV[3] homeNodeId
ARGV[4] peerId
ARGV[5] kind
ARGV[6] source
ARGV[7] paused - 0 or 1
ARGV[8] replaces - the track whose place it takes; empty where there is none
Returns {"published", list of events} or {"refused", error code}
]]
--@include whole
--@include last-event
--@include add-entry
--@include append-event
--@include placement
--@include former
--@include track
--@include peer-tracks
--@include keep-room
local placement = read_placement(KEYS[1], ARGV[4])
if not placement then return { 'refused', 'peer_not_found' } end
if placement.epoch > tonumber(ARGV[2]) then
  local former = read_former(KEYS[7], ARGV[4])
  if not former or former.epoch ~= tonumber(ARGV[2]) then return { 'refused', 'stale_epoch' } end
end
local before = parse_track(redis.call('HGET', KEYS[4], ARGV[1]))
local record = { ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7] }
-- Nobody takes the place of somebody else's track, or of one that is gone.
local replaced = ARGV[8] ~= '' and parse_track(redis.call('HGET', KEYS[4], ARGV[8]))
if replaced and replaced.peer == ARGV[4] and replaced.source == ARGV[6] then record[7] = ARGV[8] end
redis.call('HSET', KEYS[4], ARGV[1], table.concat(record, '|'))
note_track_of(KEYS[7], ARGV[4], ARGV[1])
keep_room(KEYS)
local paused = ARGV[7] == '1'
if not before then
  local track = { trackId = ARGV[1], peerId = ARGV[4], kind = ARGV[5], source = ARGV[6], paused = paused, replaces = record[7] }
  return { 'published', { append_event(KEYS[5], KEYS[7], { type = 'track.published', track = track }) } }
end
if before.paused ~= paused then
  return { 'published', { append_event(KEYS[5], KEYS[7], { type = 'track.changed', trackId = ARGV[1], paused = paused }) } }
end
return { 'published', {} }

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
Returns {"published", list of events} or {"refused", error code}
]]
--@include whole
--@include last-event
--@include append-event
--@include placement
--@include track
--@include keep-room
local placement = read_placement(KEYS[1], ARGV[4])
if not placement then return { 'refused', 'peer_not_found' } end
if placement.epoch > tonumber(ARGV[2]) then return { 'refused', 'stale_epoch' } end
local before = parse_track(redis.call('HGET', KEYS[4], ARGV[1]))
redis.call('HSET', KEYS[4], ARGV[1], table.concat({ ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7] }, '|'))
keep_room(KEYS)
local paused = ARGV[7] == '1'
if not before then
  return { 'published', { append_event(KEYS[5], KEYS[7], { type = 'track.published', track = {
    trackId = ARGV[1], peerId = ARGV[4], kind = ARGV[5], source = ARGV[6], paused = paused } }) } }
end
if before.paused ~= paused then
  return { 'published', { append_event(KEYS[5], KEYS[7], { type = 'track.changed', trackId = ARGV[1], paused = paused }) } }
end
return { 'published', {} }

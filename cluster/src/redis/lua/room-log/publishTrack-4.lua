--[[
Publishes a track of a placed peer, or publishes it again as it is now: a repeat that changes nothing makes no event.

KEYS[1] placements
KEYS[2] tracks
KEYS[3] log
KEYS[4] meta
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
--@include previous-placement
--@include track
--@include peer-list
--@include peer-tracks
--@include keep-keys
local placement = read_placement(keys.placements, args.peerId)
if not placement then return { 'refused', 'peer_not_found' } end
if placement.epoch > tonumber(args.epoch) then
  local previous = read_previous(keys.meta, args.peerId)
  if not previous or previous.epoch ~= tonumber(args.epoch) then return { 'refused', 'stale_epoch' } end
end
local before = parse_track(redis.call('HGET', keys.tracks, args.trackId))
local record = { args.epoch, args.homeNodeId, args.peerId, args.kind, args.source, args.paused }
-- Nobody takes the place of somebody else's track, or of one that is gone.
local replaced = args.replaces ~= '' and parse_track(redis.call('HGET', keys.tracks, args.replaces))
if replaced and replaced.peer == args.peerId and replaced.source == args.source then record[7] = args.replaces end
redis.call('HSET', keys.tracks, args.trackId, table.concat(record, '|'))
note_track_of(keys.meta, args.peerId, args.trackId)
keep_keys({ keys.tracks, keys.log, keys.meta })
local paused = args.paused == '1'
if not before then
  local track = { trackId = args.trackId, peerId = args.peerId, kind = args.kind, source = args.source, paused = paused, replaces = record[7] }
  return { 'published', { append_event(keys.log, keys.meta, { type = 'track.published', track = track }) } }
end
if before.paused ~= paused then
  return { 'published', { append_event(keys.log, keys.meta, { type = 'track.changed', trackId = args.trackId, paused = paused }) } }
end
return { 'published', {} }

--[[
Publishes the tracks again that a media node hosts: what the room lost of them is written again, what it knows better
stays (SPEC RC1, RC9). Where a track was lost the room is being rebuilt from now on (RC2).

KEYS[1] placements
KEYS[2] tracks
KEYS[3] log
KEYS[4] meta
ARGV[1] homeNodeId
ARGV[2] tracks - each trackId|track value, joined by \30
Returns {number of tracks that were lost, list of events, verdicts as track/verdict pairs, ids of tracks of this node that it did not name}
]]
--@include clock
--@include whole
--@include last-event
--@include add-entry
--@include append-event
--@include placement
--@include previous-placement
--@include track
--@include rebuild
--@include begin-rebuild
--@include peer-list
--@include peer-tracks
--@include tombstones
--@include keep-keys
-- Why a track is not to be written: its peer is not published yet, lives elsewhere, or somebody ended it.
local function verdict_of(track_id, track, stored)
  local placement = read_placement(keys.placements, track.peer)
  if not placement then return 'unplaced' end
  if placement.epoch > track.epoch then
    -- Whose peer is moving goes on until it has moved.
    local previous = read_previous(keys.meta, track.peer)
    if not previous or previous.epoch ~= track.epoch then return 'stale' end
  end
  if not stored and gone_at(keys.meta, 'track', track_id) then return 'ended' end
  return nil
end

-- Nobody takes the place of somebody else's track; its own may only be published later than this.
local function without_foreign_replaces(track, value)
  local replaced = track.replaces ~= '' and parse_track(redis.call('HGET', keys.tracks, track.replaces))
  if not replaced or (replaced.peer == track.peer and replaced.source == track.source) then return value end
  return (string.gsub(value, '|[^|]*$', ''))
end

local named, verdicts, events = {}, {}, {}
local lost = 0
for record in string.gmatch(args.tracks, '[^\30]+') do
  local track_id, value = string.match(record, '^([^|]+)|(.+)$')
  local track = parse_track(value)
  local stored = parse_track(redis.call('HGET', keys.tracks, track_id))
  named[track_id] = true
  local verdict = verdict_of(track_id, track, stored)
  if verdict then
    verdicts[#verdicts + 1] = track_id
    verdicts[#verdicts + 1] = verdict
  elseif not stored then
    redis.call('HSET', keys.tracks, track_id, without_foreign_replaces(track, value))
    note_track_of(keys.meta, track.peer, track_id)
    lost = lost + 1
  elseif stored.paused ~= track.paused then
    redis.call('HSET', keys.tracks, track_id, without_foreign_replaces(track, value))
    events[#events + 1] = append_event(keys.log, keys.meta,
      { type = 'track.changed', trackId = track_id, paused = track.paused })
  end
end
if lost > 0 then begin_rebuild(keys.log, keys.meta, '0-0') end

local unlisted = {}
local tracks = redis.call('HGETALL', keys.tracks)
for index = 1, #tracks, 2 do
  local track = not named[tracks[index]] and parse_track(tracks[index + 1])
  if track and track.node == args.homeNodeId then unlisted[#unlisted + 1] = tracks[index] end
end
if lost > 0 then keep_keys({ keys.tracks, keys.log, keys.meta }) end
return { lost, events, verdicts, unlisted }

--[[
Publishes the peers again whose sessions an edge holds: what the room lost of them is written again, what it knows better
stays (SPEC RC1, RC9). Where anything was lost the room is being rebuilt from now on (RC2).

KEYS[1] placements
KEYS[2] roster
KEYS[3] rosterOrder
KEYS[4] tracks
KEYS[5] log
KEYS[6] chat
KEYS[7] entries
KEYS[8] meta
ARGV[1] edgeId
ARGV[2] knownEventId - the newest id that the edge knows
ARGV[3] peers - each peerId|epoch|holdEpoch|mediaNodeId|requestId|tokenGeneration|previousEpoch|previousMediaNodeId|sequence|joinedAtMs|role|displayName, joined by \30
Returns {lastEventId, 1 while it is being rebuilt, number of peers that lacked something, 1 when events were lost, verdicts as peer/verdict pairs, placements of this edge that it did not name as peer/value pairs, number of people in the room, number of entries, sum of their versions}
]]
--@include clock
--@include whole
--@include last-event
--@include placement
--@include previous-placement
--@include roster
--@include token
--@include track
--@include rebuild
--@include add-entry
--@include begin-rebuild
--@include peer-list
--@include peer-tracks
--@include tombstones
--@include entry-state
--@include keep-keys
local edge, known = args.edgeId, args.knownEventId
local function has_left(peer_id, hold)
  local left_at = gone_at(keys.meta, 'peer', peer_id)
  return left_at ~= nil and left_at * 1000 >= hold
end
local function at_least(field, value)
  if value > (whole(redis.call('HGET', keys.meta, field)) or 0) then
    redis.call('HSET', keys.meta, field, string.format('%.0f', value))
  end
end

-- A track of an older placement is none any more: its end was lost as well. That of the one that goes on is.
local function forget_older_tracks(peer_id, epoch, previous)
  for _, track_id in ipairs(track_ids_of(keys.meta, peer_id)) do
    local track = parse_track(redis.call('HGET', keys.tracks, track_id))
    if track and track.peer == peer_id and track.epoch < epoch and track.epoch ~= previous then
      redis.call('HDEL', keys.tracks, track_id)
      forget_track_of(keys.meta, peer_id, track_id)
    end
  end
end

-- What the room knows of a peer that is newer: its session was taken up by another edge, or it was removed.
local function verdict_of(peer_id, hold, placement)
  if not placement then return has_left(peer_id, hold) and 'gone' or nil end
  if placement.hold <= hold then return nil end
  return placement.edge == edge and 'kept' or 'moved'
end

local stored = redis.call('HGETALL', keys.placements)
local placements = {}
for index = 1, #stored, 2 do placements[stored[index]] = stored[index + 1] end

local named, verdicts = {}, {}
local lacking = 0
for record in string.gmatch(args.peers, '[^\30]+') do
  local peer_id, epoch, hold, node, request, token, previous, previous_node, sequence, joined_at, role, name =
    string.match(record,
      '^([^|]+)|(%d+)|(%d+)|([^|]+)|([^|]+)|(%d+)|(%d*)|([%w_-]*)|(%d+)|(%d+)|(%a+)|(.+)$')
  named[peer_id] = true
  local placement = parse_placement(placements[peer_id])
  local verdict = verdict_of(peer_id, tonumber(hold), placement)
  if verdict then
    if verdict ~= 'kept' then
      verdicts[#verdicts + 1] = peer_id
      verdicts[#verdicts + 1] = verdict
    end
  else
    local lacks_placement = not placement or placement.hold < tonumber(hold)
    local lacks_entry = not parse_roster_peer(peer_id, redis.call('HGET', keys.roster, peer_id))
    if lacks_placement then
      placements[peer_id] = table.concat({ epoch, node, edge, request, hold }, '|')
      redis.call('HSET', keys.placements, peer_id, placements[peer_id])
      at_least('lastEpoch', tonumber(hold))
      forget_older_tracks(peer_id, tonumber(epoch), tonumber(previous))
    end
    -- Whose client has moved says so by naming none.
    if previous == '' then
      forget_previous(keys.meta, peer_id)
    else
      local noted = read_previous(keys.meta, peer_id)
      if not noted or noted.epoch ~= tonumber(previous) or noted.node ~= previous_node then
        note_previous(keys.meta, peer_id, previous, previous_node)
      end
    end
    if lacks_entry then
      redis.call('HSET', keys.roster, peer_id, table.concat({ sequence, joined_at, role, name }, '|'))
      redis.call('ZADD', keys.rosterOrder, sequence, peer_id)
      at_least('joinSequence', tonumber(sequence))
    end
    -- Of a replay nobody else is to be told: a token is no part of the room.
    if tonumber(token) > token_in_use(keys.meta, peer_id) then use_token(keys.meta, peer_id, token) end
    if lacks_placement or lacks_entry then lacking = lacking + 1 end
  end
end

-- Writes between what the edge knows and now may be lost although none of its own peers is.
local function lost_events()
  if known == '0-0' then return false end
  if is_before(last_event_id(keys.log, keys.meta), known) then return true end
  if redis.call('HGET', keys.meta, 'lastEventId') == known then return false end
  if #redis.call('XRANGE', keys.log, known, known) > 0 then return false end
  local first = redis.call('XRANGE', keys.log, '-', '+', 'COUNT', 1)[1]
  local rebuilt_at = redis.call('HGET', keys.meta, 'rebuiltEventId')
  -- Older ones were trimmed, and what a rebuilding begins with leaves no entry.
  return first ~= nil and is_before(first[1], known) and rebuilt_at ~= known
end
local lost = redis.call('EXISTS', keys.placements) == 1 and lost_events()
if lacking > 0 or lost then begin_rebuild(keys.log, keys.meta, known) end

local unlisted = {}
for peer_id, value in pairs(placements) do
  local placement = not named[peer_id] and parse_placement(value)
  if placement and placement.edge == edge then
    unlisted[#unlisted + 1] = peer_id
    unlisted[#unlisted + 1] = value
  end
end
if redis.call('EXISTS', keys.placements) == 1 then keep_keys({ keys.placements, keys.roster, keys.rosterOrder, keys.tracks, keys.log, keys.chat, keys.entries, keys.meta }) end
local entries = read_entry_state(keys.entries, keys.meta)
return {
  last_event_id(keys.log, keys.meta), is_rebuilding(keys.meta) and 1 or 0, lacking, lost and 1 or 0, verdicts, unlisted,
  redis.call('HLEN', keys.roster), entries.count, entries.sum,
}

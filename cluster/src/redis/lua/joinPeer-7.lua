--[[
Enters a placed peer into the roster and gives the room with the peer in it. A peer that is in it already stays as it is.
A room that is being rebuilt is given to nobody (SPEC RC2).

KEYS[1] placements
KEYS[2] roster
KEYS[3] rosterOrder
KEYS[4] tracks
KEYS[5] log
KEYS[6] chat
KEYS[7] meta
ARGV[1] peerId
ARGV[2] epoch
ARGV[3] displayName
ARGV[4] role
ARGV[5] pageSize
Returns {"joined", roster value, event or {}, snapshot, generation of its session tokens in use} or {"refused", error code}
]]
--@include clock
--@include whole
--@include last-event
--@include add-entry
--@include append-event
--@include placement
--@include roster
--@include snapshot
--@include token
--@include rebuild
--@include keep-room
local placement = read_placement(KEYS[1], ARGV[1])
if not placement then return { 'refused', 'peer_not_found' } end
if placement.epoch ~= tonumber(ARGV[2]) then return { 'refused', 'stale_epoch' } end
if is_rebuilding(KEYS[7]) then return { 'refused', 'store_unavailable' } end
local value = redis.call('HGET', KEYS[2], ARGV[1])
local event = {}
if not parse_roster_peer(ARGV[1], value) then
  local last = whole(redis.call('HGET', KEYS[7], 'joinSequence'))
  if not last then last = tonumber(redis.call('ZREVRANGE', KEYS[3], 0, 0, 'WITHSCORES')[2] or 0) end
  local sequence = last + 1
  redis.call('HSET', KEYS[7], 'joinSequence', string.format('%.0f', sequence))
  value = string.format('%.0f|%.0f|', sequence, now_ms()) .. ARGV[4] .. '|' .. ARGV[3]
  redis.call('HSET', KEYS[2], ARGV[1], value)
  redis.call('ZADD', KEYS[3], sequence, ARGV[1])
  event = append_event(KEYS[5], KEYS[7], { type = 'peer.joined', peer = parse_roster_peer(ARGV[1], value) })
end
keep_room(KEYS)
local room = snapshot(KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], tonumber(ARGV[5]))
return { 'joined', value, event, room, token_in_use(KEYS[7], ARGV[1]) }

--[[
Posts a message of a peer in the roster; one with an id among the last ones is given back and not posted twice (SPEC LG5).

KEYS[1] placements
KEYS[2] roster
KEYS[3] rosterOrder
KEYS[4] tracks
KEYS[5] log
KEYS[6] chat
KEYS[7] meta
ARGV[1] messageId
ARGV[2] peerId
ARGV[3] text
Returns {"posted", message as JSON, event or {}} or {"refused", error code}
]]
--@include clock
--@include whole
--@include last-event
--@include add-entry
--@include append-event
--@include roster
--@include chat
--@include keep-room
local bytes, dropped = chat_state(KEYS[6], KEYS[7])
local posted = find_posted(KEYS[6], KEYS[7], ARGV[1], dropped)
if posted then return { 'posted', posted, {} } end
local peer = parse_roster_peer(ARGV[2], redis.call('HGET', KEYS[2], ARGV[2]))
if not peer then return { 'refused', 'peer_not_found' } end
local message = {
  messageId = ARGV[1],
  peerId = ARGV[2],
  displayName = peer.displayName,
  text = ARGV[3],
  sentAtMs = now_ms(),
}
local encoded = cjson.encode(message)
keep_message(KEYS[6], KEYS[7], ARGV[1], encoded, bytes, dropped)
keep_room(KEYS)
return { 'posted', encoded, append_event(KEYS[5], KEYS[7], { type = 'chat.posted', message = message }) }

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
ARGV[4] keptMessages
Returns {"posted", message as JSON, event or {}} or {"refused", error code}
]]
--@include clock
--@include last-event
--@include append-event
--@include roster
--@include keep-room
for _, posted in ipairs(redis.call('LRANGE', KEYS[6], 0, -1)) do
  local is_json, message = pcall(cjson.decode, posted)
  if is_json and type(message) == 'table' and message.messageId == ARGV[1] then return { 'posted', posted, {} } end
end
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
redis.call('RPUSH', KEYS[6], encoded)
redis.call('LTRIM', KEYS[6], -tonumber(ARGV[4]), -1)
keep_room(KEYS)
return { 'posted', encoded, append_event(KEYS[5], KEYS[7], { type = 'chat.posted', message = message }) }

--[[
Posts a message of a peer in the roster; a repeat of an id among the last messages gives the first one and posts nothing (SPEC LG5).

KEYS[1] roster
KEYS[2] log
KEYS[3] chat
KEYS[4] meta
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
--@include keep-keys
local bytes, dropped = chat_state(keys.chat, keys.meta)
local posted = find_posted(keys.chat, keys.meta, args.messageId, dropped)
if posted then return { 'posted', posted, {} } end
local peer = parse_roster_peer(args.peerId, redis.call('HGET', keys.roster, args.peerId))
if not peer then return { 'refused', 'peer_not_found' } end
local message = {
  messageId = args.messageId,
  peerId = args.peerId,
  displayName = peer.displayName,
  text = args.text,
  sentAtMs = now_ms(),
}
local encoded = cjson.encode(message)
keep_message(keys.chat, keys.meta, args.messageId, encoded, bytes, dropped)
keep_keys({ keys.chat, keys.log, keys.meta })
return { 'posted', encoded, append_event(keys.log, keys.meta, { type = 'chat.posted', message = message }) }

--[[
Gives a snapshot of the room, unless it is being rebuilt (SPEC RC2).

KEYS[1] roster
KEYS[2] rosterOrder
KEYS[3] tracks
KEYS[4] log
KEYS[5] chat
KEYS[6] entries
KEYS[7] meta
ARGV[1] pageSize
Returns {"room", snapshot} or {"rebuilding"}
]]
--@include clock
--@include whole
--@include last-event
--@include snapshot
--@include rebuild
if is_rebuilding(keys.meta) then return { 'rebuilding' } end
local room = snapshot({
  roster = keys.roster, rosterOrder = keys.rosterOrder, tracks = keys.tracks, log = keys.log, chat = keys.chat, entries = keys.entries,
  meta = keys.meta,
}, tonumber(args.pageSize))
return { 'room', room }

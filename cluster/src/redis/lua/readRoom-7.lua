--[[
Gives the room as it is now. While it is being rebuilt there is nothing to give (SPEC RC2).

KEYS[1] placements
KEYS[2] roster
KEYS[3] rosterOrder
KEYS[4] tracks
KEYS[5] log
KEYS[6] chat
KEYS[7] meta
ARGV[1] pageSize
Returns {"room", snapshot} or {"rebuilding"}
]]
--@include clock
--@include whole
--@include last-event
--@include snapshot
--@include rebuild
if is_rebuilding(KEYS[7]) then return { 'rebuilding' } end
return { 'room', snapshot(KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], tonumber(ARGV[1])) }

--[[
Tells whether a room is there, and whether all who own a part of it had the time to publish it (SPEC RC2).

KEYS[1] placements
KEYS[2] roster
KEYS[3] rosterOrder
KEYS[4] tracks
KEYS[5] log
KEYS[6] chat
KEYS[7] meta
Returns "absent", "rebuilding" or "whole"
]]
--@include clock
--@include whole
--@include rebuild
if redis.call('EXISTS', KEYS[1]) == 0 then return 'absent' end
return is_rebuilding(KEYS[7]) and 'rebuilding' or 'whole'

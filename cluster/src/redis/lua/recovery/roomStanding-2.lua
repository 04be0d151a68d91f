--[[
Tells whether a room is there, and whether all who own a part of it had the time to publish it (SPEC RC2).

KEYS[1] placements
KEYS[2] meta
Returns "absent", "rebuilding" or "whole"
]]
--@include clock
--@include whole
--@include rebuild
if redis.call('EXISTS', keys.placements) == 0 then return 'absent' end
return is_rebuilding(keys.meta) and 'rebuilding' or 'whole'

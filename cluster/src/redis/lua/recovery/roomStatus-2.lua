--[[
Gives whether a room exists, and whether all owners of a part of it had the time to republish that part (SPEC RC2).

KEYS[1] placements
KEYS[2] meta
Returns "absent", "rebuilding" or "whole"
]]
--@include clock
--@include whole
--@include rebuild
if redis.call('EXISTS', keys.placements) == 0 then return 'absent' end
return is_rebuilding(keys.meta) and 'rebuilding' or 'whole'

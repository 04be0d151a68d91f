--[[
Notes that a peer has moved: from now on only its live placement may publish (SPEC EP7).

KEYS[1] placements
KEYS[2] roster
KEYS[3] rosterOrder
KEYS[4] tracks
KEYS[5] log
KEYS[6] chat
KEYS[7] meta
ARGV[1] peerId
ARGV[2] epoch - of the live placement
Returns 1 when that is the live one, else 0
]]
--@include whole
--@include placement
--@include former
local placement = read_placement(KEYS[1], ARGV[1])
if not placement or placement.epoch ~= tonumber(ARGV[2]) then return 0 end
forget_former(KEYS[7], ARGV[1])
return 1

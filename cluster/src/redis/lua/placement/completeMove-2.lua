--[[
Notes that a peer has moved: from now on only its live placement may publish (SPEC EP7).

KEYS[1] placements
KEYS[2] meta
ARGV[1] peerId
ARGV[2] epoch - of the live placement
Returns 1 when that is the live one, else 0
]]
--@include whole
--@include placement
--@include previous-placement
local placement = read_placement(keys.placements, args.peerId)
if not placement or placement.epoch ~= tonumber(args.epoch) then return 0 end
forget_previous(keys.meta, args.peerId)
return 1

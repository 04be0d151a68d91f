--[[
Releases a claim of a tenant; ignores one that is already gone.

KEYS[1] claims
KEYS[2] rooms
ARGV[1] claim - roomId|peerId
Returns 1
]]
--@include tenant
forget_claim(keys.claims, keys.rooms, args.claim)
return 1

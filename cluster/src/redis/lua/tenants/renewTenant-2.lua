--[[
Prolongs claims of a tenant and restores lost ones. Refuses none, since their peers are in their rooms (SPEC PL13).

KEYS[1] claims
KEYS[2] rooms
ARGV[1] leaseMs
ARGV[2] claimList - joined by a comma, which no id can hold
Returns 1
]]
--@include clock
--@include tenant
local now = now_ms()
forget_lapsed(keys.claims, keys.rooms, now)
for claim in string.gmatch(args.claimList, '[^,]+') do
  hold_claim(keys.claims, keys.rooms, claim, now, tonumber(args.leaseMs))
end
return 1

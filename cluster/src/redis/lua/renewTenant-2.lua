--[[
Prolongs claims of a tenant, and makes those anew that were lost; refuses none, since their peers are there (SPEC PL13).

KEYS[1] claims
KEYS[2] rooms
ARGV[1] leaseMs
ARGV[2] claimList - joined by a comma, which no id can hold
Returns 1
]]
--@include clock
--@include tenant
local now = now_ms()
forget_lapsed(KEYS[1], KEYS[2], now)
for claim in string.gmatch(ARGV[2], '[^,]+') do
  hold_claim(KEYS[1], KEYS[2], claim, now, tonumber(ARGV[1]))
end
return 1

--[[
Announces an edge, or renews it, for a lease. Refused while a live process of another incarnation holds the id (SPEC RG2).

KEYS[1] registry
ARGV[1] id
ARGV[2] incarnation
ARGV[3] leaseMs
ARGV[4] record - JSON
Returns {"announced"} or {"id_taken"}
]]
--@include clock
--@include announce
local now = now_ms()
if is_id_taken(keys.registry, args.id, args.incarnation, now) then return { 'id_taken' } end
write_announcement(keys.registry, args.id, args.incarnation, now + tonumber(args.leaseMs), args.record)
return { 'announced' }

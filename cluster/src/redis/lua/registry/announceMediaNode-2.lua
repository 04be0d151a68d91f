--[[
Announces a media node, or renews it, for a lease, and its port slice with it. Refused while a living process of another
incarnation holds the id, or another node holds ports of the slice under an address in common (SPEC RG2, RG3).

KEYS[1] registry
KEYS[2] portSlices
ARGV[1] id
ARGV[2] incarnation
ARGV[3] leaseMs
ARGV[4] record - JSON
ARGV[5] announcedAddress
ARGV[6] alsoAnnounced - the IPv6 address beside it; empty where there is none
ARGV[7] firstPort
ARGV[8] lastPort
Returns {"announced"} or {"id_taken"} or {"port_slice_overlap", media node id, its first port, its last port}
]]
--@include clock
--@include announce
--@include slices
local now = now_ms()
if is_id_taken(keys.registry, args.id, args.incarnation, now) then return { 'id_taken' } end
local slices = read_slices(keys.portSlices, now)
local overlap = find_overlap(slices, now, args.id, tonumber(args.firstPort), tonumber(args.lastPort), args.announcedAddress, args.alsoAnnounced)
if overlap then return { 'port_slice_overlap', overlap.node, tostring(overlap.first), tostring(overlap.last) } end
local lease_until = now + tonumber(args.leaseMs)
-- Whatever a previous life of the node held is no longer needed: the id is this incarnation's.
give_back(keys.portSlices, slices, now, args.id, nil)
local field = table.concat({ args.firstPort, args.lastPort, args.announcedAddress, args.alsoAnnounced }, '|')
write_slice(keys.portSlices, field, lease_until, args.incarnation, args.id)
write_announcement(keys.registry, args.id, args.incarnation, lease_until, args.record)
return { 'announced' }

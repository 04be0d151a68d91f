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
ARGV[9] restMs
Returns {"announced"} or {"id_taken"} or {"port_slice_overlap", media node id, its first port, its last port}
]]
--@include clock
--@include announce
--@include slices
local now = now_ms()
if is_id_taken(KEYS[1], ARGV[1], ARGV[2], now) then return { 'id_taken' } end
local slices = read_slices(KEYS[2], now, tonumber(ARGV[9]))
local overlap = find_overlap(slices, now, ARGV[1], tonumber(ARGV[7]), tonumber(ARGV[8]), ARGV[5], ARGV[6])
if overlap then return { 'port_slice_overlap', overlap.node, tostring(overlap.first), tostring(overlap.last) } end
local lease_until = now + tonumber(ARGV[3])
-- Whatever a former life of the node held is no longer needed: the id is this incarnation's.
give_back(KEYS[2], slices, now, ARGV[1], nil)
local field = table.concat({ ARGV[7], ARGV[8], ARGV[5], ARGV[6] }, '|')
write_slice(KEYS[2], field, lease_until, ARGV[2], ARGV[1])
write_announcement(KEYS[1], ARGV[1], ARGV[2], lease_until, ARGV[4])
return { 'announced' }

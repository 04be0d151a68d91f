--[[
Leases ports to a media node before it is announced (SPEC PS1 to PS4): exactly the wanted slice, unless another node holds
ports of it, or the first slice of a range that is neither held nor resting. A repeat gives the same slice.

KEYS[1] portSlices
ARGV[1] id
ARGV[2] incarnation
ARGV[3] leaseMs
ARGV[4] announcedAddress
ARGV[5] alsoAnnounced - the IPv6 address beside it; empty for none
ARGV[6] firstPort - of the slice or of the range
ARGV[7] lastPort
ARGV[8] size - of a slice of the range; 0 for exactly these ports
ARGV[9] except - first ports of slices to leave out, each between commas
Returns {"claimed", first port, last port} or {"port_slice_overlap", media node id, its first port, its last port} or {"no_free_slice", list of {media node id, first port, last port, milliseconds it still rests or -1 while held}}
]]
--@include clock
--@include slices
local now = now_ms()
local node, incarnation = args.id, args.incarnation
local address, ipv6 = args.announcedAddress, args.alsoAnnounced
local range_first, range_last, size = tonumber(args.firstPort), tonumber(args.lastPort), tonumber(args.size)
local slices = read_slices(keys.portSlices, now)

local function claim(first, last)
  give_back(keys.portSlices, slices, now, node, incarnation)
  local field = table.concat({ tostring(first), tostring(last), address, ipv6 }, '|')
  write_slice(keys.portSlices, field, now + tonumber(args.leaseMs), incarnation, node)
  return { 'claimed', tostring(first), tostring(last) }
end

local function is_excepted(first)
  return string.find(args.except, ',' .. tostring(first) .. ',', 1, true) ~= nil
end

if size == 0 then
  local overlap = find_overlap(slices, now, node, range_first, range_last, address, ipv6)
  if overlap then return { 'port_slice_overlap', overlap.node, tostring(overlap.first), tostring(overlap.last) } end
  return claim(range_first, range_last)
end

local in_the_way = {}
for _, slice in ipairs(slices) do
  if clashes(slice, range_first, range_last, address, ipv6) then in_the_way[#in_the_way + 1] = slice end
end
for _, slice in ipairs(in_the_way) do
  if slice.node == node and slice.incarnation == incarnation and slice.lease_until > now
    and slice.first >= range_first and slice.last <= range_last and slice.last - slice.first + 1 == size
    and not is_excepted(slice.first) then
    return claim(slice.first, slice.last)
  end
end
for first = range_first, range_last - size + 1, size do
  local is_free = not is_excepted(first)
  for _, slice in ipairs(in_the_way) do
    if slice.first <= first + size - 1 and first <= slice.last then is_free = false end
  end
  if is_free then return claim(first, first + size - 1) end
end
local holders = {}
for _, slice in ipairs(in_the_way) do
  local rests = -1
  if slice.lease_until <= now then rests = slice.lease_until + SLICE_REST_MS - now end
  holders[#holders + 1] = { slice.node, tostring(slice.first), tostring(slice.last), string.format('%.0f', rests) }
end
return { 'no_free_slice', holders }

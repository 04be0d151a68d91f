--[[
Claims a place for one more peer of a tenant for a lease, unless the tenant has reached its limit of people or rooms. Prolongs
an existing claim (SPEC PL12).

KEYS[1] claims
KEYS[2] rooms
ARGV[1] claim - roomId|peerId
ARGV[2] leaseMs
ARGV[3] maxPeers - empty for no limit
ARGV[4] maxRooms - empty for no limit
Returns {"claimed", 1 when it is new, else 0} or {"refused", "people" or "rooms"}
]]
--@include clock
--@include tenant
local now = now_ms()
forget_lapsed(keys.claims, keys.rooms, now)
local is_new = not redis.call('ZSCORE', keys.claims, args.claim)
if is_new then
  local room = string.match(args.claim, '^[^|]+')
  if args.maxPeers ~= '' and redis.call('ZCARD', keys.claims) >= tonumber(args.maxPeers) then return { 'refused', 'people' } end
  if args.maxRooms ~= '' and redis.call('HEXISTS', keys.rooms, room) == 0 and redis.call('HLEN', keys.rooms) >= tonumber(args.maxRooms) then
    return { 'refused', 'rooms' }
  end
end
hold_claim(keys.claims, keys.rooms, args.claim, now, tonumber(args.leaseMs))
return { 'claimed', is_new and 1 or 0 }

--[[
Claims a place for one more peer of a tenant for a lease, unless the tenant has its people or its rooms already. A claim
that is there already is prolonged (SPEC PL12).

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
forget_lapsed(KEYS[1], KEYS[2], now)
local is_new = not redis.call('ZSCORE', KEYS[1], ARGV[1])
if is_new then
  local room = string.match(ARGV[1], '^[^|]+')
  if ARGV[3] ~= '' and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then return { 'refused', 'people' } end
  if ARGV[4] ~= '' and redis.call('HEXISTS', KEYS[2], room) == 0 and redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[4]) then
    return { 'refused', 'rooms' }
  end
end
hold_claim(KEYS[1], KEYS[2], ARGV[1], now, tonumber(ARGV[2]))
return { 'claimed', is_new and 1 or 0 }

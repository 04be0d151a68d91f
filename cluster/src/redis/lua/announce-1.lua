--[[
Announces a process in a registry hash, or renews it, for a lease. Refused while a living process of another incarnation
holds the id, or a living media node with the same announced address owns ports of the slice (SPEC RG2, RG3). Lapsed
entries go on the way.

KEYS[1] registry
ARGV[1] id
ARGV[2] incarnation
ARGV[3] leaseMs
ARGV[4] record - JSON
ARGV[5] announcedAddress - empty for an edge
ARGV[6] firstPort
ARGV[7] lastPort
Returns {"announced"} or {"id_taken"} or {"port_slice_overlap", media node id, its first port, its last port}
]]
--@include clock
local now = now_ms()
local entries = redis.call('HGETALL', KEYS[1])
for index = 1, #entries, 2 do
  local id = entries[index]
  local lease_until, incarnation, record = string.match(entries[index + 1], '^(%d+)|([^|]+)|(.*)$')
  if not lease_until then
    -- Somebody else's: it holds no id and no ports.
  elseif tonumber(lease_until) <= now then
    redis.call('HDEL', KEYS[1], id)
  elseif id == ARGV[1] then
    if incarnation ~= ARGV[2] then return { 'id_taken' } end
  elseif ARGV[5] ~= '' then
    local is_json, other = pcall(cjson.decode, record)
    local slice = is_json and type(other) == 'table' and other.portSlice
    if type(slice) == 'table' and type(slice.firstPort) == 'number' and type(slice.lastPort) == 'number'
      and other.announcedAddress == ARGV[5] and slice.firstPort <= tonumber(ARGV[7]) and tonumber(ARGV[6]) <= slice.lastPort then
      return { 'port_slice_overlap', id, tostring(slice.firstPort), tostring(slice.lastPort) }
    end
  end
end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now + tonumber(ARGV[3])) .. '|' .. ARGV[2] .. '|' .. ARGV[4])
return { 'announced' }

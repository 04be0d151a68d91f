--[[
Gives the records whose lease runs by Redis TIME.

KEYS[1] registry
Returns list of records as JSON
]]
--@include clock
local now = now_ms()
local live = {}
for _, value in ipairs(redis.call('HVALS', KEYS[1])) do
  local lease_until, record = string.match(value, '^(%d+)|[^|]+|(.*)$')
  -- What cannot be read may be anybody's: it is told without a record, so that it is noticed.
  if not lease_until then live[#live + 1] = '' elseif tonumber(lease_until) > now then live[#live + 1] = record end
end
return live

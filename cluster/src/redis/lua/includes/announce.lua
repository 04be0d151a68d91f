-- Whether a live process of another incarnation holds the id. Also removes lapsed entries.
local function is_id_taken(key, id, incarnation, now)
  local taken = false
  local entries = redis.call('HGETALL', key)
  for index = 1, #entries, 2 do
    local lease_until, holder = string.match(entries[index + 1], '^(%d+)|([^|]+)|')
    if not lease_until then
      -- A foreign record holds no id.
    elseif tonumber(lease_until) <= now then
      redis.call('HDEL', key, entries[index])
    elseif entries[index] == id and holder ~= incarnation then
      taken = true
    end
  end
  return taken
end

local function write_announcement(key, id, incarnation, lease_until, record)
  redis.call('HSET', key, id, string.format('%.0f', lease_until) .. '|' .. incarnation .. '|' .. record)
end

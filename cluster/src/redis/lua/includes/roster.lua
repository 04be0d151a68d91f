-- A roster entry as others see it.
local function parse_roster_peer(peer_id, value)
  local _, joined_at_ms, role, name = string.match(value, '^(%d+)|(%d+)|(%a+)|(.*)$')
  return { peerId = peer_id, joinedAtMs = tonumber(joined_at_ms), role = role, displayName = name }
end

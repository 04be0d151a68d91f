-- A roster entry as other peers see it; nil if it is missing or unreadable.
local function parse_roster_peer(peer_id, value)
  if not value then return nil end
  local _, joined_at_ms, role, name = string.match(value, '^(%d+)|(%d+)|(%a+)|(.+)$')
  if not name then return nil end
  return { peerId = peer_id, joinedAtMs = tonumber(joined_at_ms), role = role, displayName = name }
end

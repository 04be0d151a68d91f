-- A placement as its parts: epoch (number), mediaNodeId, edgeId, requestId; nothing when there is none.
local function read_placement(placements, peer_id)
  local value = redis.call('HGET', placements, peer_id)
  if not value then return nil end
  local epoch, node, edge, request = string.match(value, '^(%d+)|([^|]+)|([^|]+)|([^|]+)$')
  return { epoch = tonumber(epoch), node = node, edge = edge, request = request, value = value }
end

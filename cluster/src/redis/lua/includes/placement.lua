-- The parts of a placement: epoch (number), mediaNodeId, edgeId, requestId, hold (number); nil if it is missing or
-- unreadable.
local function parse_placement(value)
  if not value then return nil end
  local digits, node, edge, request, hold = string.match(value, '^(%d+)|([%w_-]+)|([%w_-]+)|([%w_-]+)|?(%d*)$')
  local epoch = whole(digits)
  if not epoch then return nil end
  return { epoch = epoch, node = node, edge = edge, request = request, hold = whole(hold) or epoch, value = value }
end
local function read_placement(placements, peer_id)
  return parse_placement(redis.call('HGET', placements, peer_id))
end

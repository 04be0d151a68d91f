-- Where a peer that is being moved lived before, and goes on until it has moved: epoch (number), node; nothing else.
local function read_previous(meta, peer_id)
  local value = redis.call('HGET', meta, 'previous|' .. peer_id)
  if not value then return nil end
  local digits, node = string.match(value, '^(%d+)|([%w_-]+)$')
  local epoch = whole(digits)
  if not epoch then return nil end
  return { epoch = epoch, node = node, value = value }
end
local function note_previous(meta, peer_id, epoch, node)
  redis.call('HSET', meta, 'previous|' .. peer_id, epoch .. '|' .. node)
end
local function forget_previous(meta, peer_id)
  redis.call('HDEL', meta, 'previous|' .. peer_id)
end

-- The room as it is now: {lastEventId, peerCount, first roster page as id/value pairs with sequence, tracks as id/value pairs, chat}.
local function snapshot(roster, roster_order, tracks, chat, meta, page_size)
  local page = {}
  local ordered = redis.call('ZRANGE', roster_order, 0, page_size - 1)
  for _, peer_id in ipairs(ordered) do
    page[#page + 1] = peer_id
    page[#page + 1] = redis.call('HGET', roster, peer_id) or ''
  end
  return {
    redis.call('HGET', meta, 'lastEventId') or '0-0',
    redis.call('HLEN', roster),
    page,
    redis.call('HGETALL', tracks),
    redis.call('LRANGE', chat, 0, -1),
  }
end

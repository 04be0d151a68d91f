-- The room as it is now: {lastEventId, peerCount, first roster page as triples of id, sequence and value, tracks as id/value pairs, chat}.
local function snapshot(roster, roster_order, tracks, log, chat, meta, page_size)
  local page = {}
  local ordered = redis.call('ZRANGE', roster_order, 0, page_size - 1, 'WITHSCORES')
  for index = 1, #ordered, 2 do
    page[#page + 1] = ordered[index]
    page[#page + 1] = ordered[index + 1]
    page[#page + 1] = redis.call('HGET', roster, ordered[index]) or ''
  end
  return {
    last_event_id(log, meta),
    redis.call('HLEN', roster),
    page,
    redis.call('HGETALL', tracks),
    redis.call('LRANGE', chat, 0, -1),
  }
end

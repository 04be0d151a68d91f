-- The room as it is now: {lastEventId, peerCount, first roster page as triples of id, sequence and value, tracks as id/value pairs, chat, entries as field/value pairs}.
local function live_entries(entries)
  local live = {}
  local all = redis.call('HGETALL', entries)
  for index = 1, #all, 2 do
    -- A deleted entry has no value after its version.
    if string.sub(all[index + 1], -1) ~= '|' then
      live[#live + 1] = all[index]
      live[#live + 1] = all[index + 1]
    end
  end
  return live
end
local function snapshot(room, page_size)
  local page = {}
  local ordered = redis.call('ZRANGE', room.rosterOrder, 0, page_size - 1, 'WITHSCORES')
  for index = 1, #ordered, 2 do
    page[#page + 1] = ordered[index]
    page[#page + 1] = ordered[index + 1]
    page[#page + 1] = redis.call('HGET', room.roster, ordered[index]) or ''
  end
  return {
    last_event_id(room.log, room.meta),
    redis.call('HLEN', room.roster),
    page,
    redis.call('HGETALL', room.tracks),
    redis.call('LRANGE', room.chat, 0, -1),
    live_entries(room.entries),
  }
end

-- Appends an event to the room's log and gives {id, previousId, event as JSON}.
local function append_event(log, meta, event)
  local previous = last_event_id(log, meta)
  local encoded = cjson.encode(event)
  local id = redis.call('XADD', log, 'MAXLEN', '~', 1000, '*', 'previousId', previous, 'event', encoded)
  redis.call('HSET', meta, 'lastEventId', id)
  return { id, previous, encoded }
end

-- The id of the room's last event; where what is noted is none, that of the log's last entry.
local function last_event_id(log, meta)
  local id = redis.call('HGET', meta, 'lastEventId')
  if not id then return '0-0' end
  if string.match(id, '^%d+%-%d+$') then return id end
  local newest = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)
  if newest[1] then return newest[1][1] end
  return '0-0'
end

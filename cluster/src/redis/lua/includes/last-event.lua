--@limit EVENT_ID_DIGITS
-- Whether this is an id that we gave to an event; foreign ids have more digits.
local function is_event_id(id)
  local ms, number = string.match(id, '^(%d+)%-(%d+)$')
  return ms ~= nil and #ms <= EVENT_ID_DIGITS and #number <= EVENT_ID_DIGITS
end

-- The id of the room's last event; if the noted one is invalid, that of the log's last entry.
local function last_event_id(log, meta)
  local id = redis.call('HGET', meta, 'lastEventId')
  if not id then return '0-0' end
  if is_event_id(id) then return id end
  local newest = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)
  if newest[1] and is_event_id(newest[1][1]) then return newest[1][1] end
  return '0-0'
end

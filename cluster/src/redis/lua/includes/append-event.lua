--@limit EVENT_LOG_LENGTH
--@limit MAX_EVENT_LOG_BYTES
--@limit EVENT_LOG_ENTRY_BYTES
--@limit EVENT_LOG_TRIM_STEP
local function entry_bytes(entry)
  local bytes = EVENT_LOG_ENTRY_BYTES
  for index = 2, #entry[2], 2 do bytes = bytes + #entry[2][index] end
  return bytes
end

-- The size of the log in bytes, as noted in meta; counted if nothing is noted, as after a loss.
local function log_bytes(log, meta)
  local noted = whole(redis.call('HGET', meta, 'logBytes'))
  if noted then return noted end
  local bytes = 0
  for _, entry in ipairs(redis.call('XRANGE', log, '-', '+')) do bytes = bytes + entry_bytes(entry) end
  return bytes
end

-- Drops the oldest entries until the log is within its bounds (SPEC BU6). Each entry is read once more when it is
-- dropped.
local function trim_log(log, meta, bytes)
  local length = redis.call('XLEN', log)
  if length > EVENT_LOG_LENGTH + EVENT_LOG_TRIM_STEP or bytes > MAX_EVENT_LOG_BYTES then
    local dropped = {}
    for _, entry in ipairs(redis.call('XRANGE', log, '-', '+', 'COUNT', 2 * EVENT_LOG_TRIM_STEP)) do
      local is_within = length - #dropped <= EVENT_LOG_LENGTH and bytes <= MAX_EVENT_LOG_BYTES
      if is_within or length - #dropped <= 1 then break end
      dropped[#dropped + 1] = entry[1]
      bytes = math.max(0, bytes - entry_bytes(entry))
    end
    if #dropped > 0 then redis.call('XDEL', log, unpack(dropped)) end
  end
  redis.call('HSET', meta, 'logBytes', string.format('%.0f', bytes))
end

-- Appends an event, given as JSON, to the room's log and gives {id, previousId, event as JSON}.
local function append_encoded(log, meta, encoded)
  local previous = last_event_id(log, meta)
  local bytes = log_bytes(log, meta)
  local ms, number = string.match(previous, '^(%d+)%-(%d+)$')
  local fallback_id = string.format('%s-%.0f', ms, tonumber(number) + 1)
  local id, is_restarted = add_entry(log, meta, '*', fallback_id, previous, encoded)
  if is_restarted then bytes = 0 end
  trim_log(log, meta, bytes + entry_bytes({ id, { 'previousId', previous, 'event', encoded } }))
  redis.call('HSET', meta, 'lastEventId', id)
  return { id, previous, encoded }
end
local function append_event(log, meta, event)
  return append_encoded(log, meta, cjson.encode(event))
end

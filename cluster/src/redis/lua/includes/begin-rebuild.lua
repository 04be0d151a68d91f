local function parts_of(id)
  local ms, number = string.match(id, '^(%d+)%-(%d+)$')
  return tonumber(ms) or 0, tonumber(number) or 0
end
local function is_before(left, right)
  local left_ms, left_number = parts_of(left)
  local right_ms, right_number = parts_of(right)
  return left_ms < right_ms or (left_ms == right_ms and left_number < right_number)
end

-- Notes that the room lost writes. Its order continues above every id that was given, even if the clock lags, so that
-- clients with an older id request the room again. During a rebuild no client knows a newer id.
local function begin_rebuild(log, meta, known)
  local last = last_event_id(log, meta)
  if is_rebuilding(meta) and not is_before(last, known) then return end
  if not is_rebuilding(meta) then
    redis.call('HSET', meta, 'rebuildingUntilMs', string.format('%.0f', now_ms() + ROOM_REBUILD_MS))
  end
  local top = is_before(last, known) and known or last
  local ms, number = parts_of(top)
  local id = string.format('%.0f-%.0f', ms, number + 1)
  if now_ms() > ms then id = string.format('%.0f-0', now_ms()) end
  -- Adds only an id and no event: the stream continues after it, although nothing is left of it.
  add_entry(log, meta, id, id, last, '{}')
  redis.call('XDEL', log, id)
  redis.call('HSET', meta, 'lastEventId', id, 'rebuiltEventId', id)
end

--@limit ROOM_REBUILD_MS
-- While a room that lost writes is published again it is not whole: nobody is to take it for the truth (SPEC RC2, RC15). An end
-- further ahead than a rebuild lasts is by a clock that went back, or not by us: it is brought to that time from now.
local function is_rebuilding(meta)
  local ends_at = whole(redis.call('HGET', meta, 'rebuildingUntilMs'))
  if ends_at == nil then return false end
  local latest = now_ms() + ROOM_REBUILD_MS
  if ends_at > latest then redis.call('HSET', meta, 'rebuildingUntilMs', string.format('%.0f', latest)) end
  return now_ms() < ends_at
end

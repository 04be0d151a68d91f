--@limit ROOM_REBUILD_MS
-- A room that lost writes is incomplete until its owners have republished them: nobody may take it for the truth (SPEC
-- RC2, RC15). An end further ahead than a rebuild lasts comes from a clock that went back, or is foreign; it is set to
-- a full rebuild from now.
local function is_rebuilding(meta)
  local ends_at = whole(redis.call('HGET', meta, 'rebuildingUntilMs'))
  if ends_at == nil then return false end
  local latest = now_ms() + ROOM_REBUILD_MS
  if ends_at > latest then redis.call('HSET', meta, 'rebuildingUntilMs', string.format('%.0f', latest)) end
  return now_ms() < ends_at
end

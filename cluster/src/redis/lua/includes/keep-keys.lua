--@limit ROOM_KEPT_MS
-- Renews keys of a room: they expire if no edge has renewed them for this long (SPEC RC6). Writes only at half time.
local function keep_keys(keys)
  for _, key in ipairs(keys) do
    if redis.call('PTTL', key) < ROOM_KEPT_MS / 2 then redis.call('PEXPIRE', key, ROOM_KEPT_MS) end
  end
end

--@limit ROOM_KEPT_MS
-- Keeps keys of a room on: they expire when no edge has kept them for so long (SPEC RC6). Renewed at half time.
local function keep_keys(keys)
  for _, key in ipairs(keys) do
    if redis.call('PTTL', key) < ROOM_KEPT_MS / 2 then redis.call('PEXPIRE', key, ROOM_KEPT_MS) end
  end
end

-- Keeps a room's keys for ten minutes more: they go by themselves when no edge has kept them for so long (SPEC RC6).
local function keep_room(keys)
  for _, key in ipairs(keys) do
    if redis.call('PTTL', key) < 300000 then redis.call('PEXPIRE', key, 600000) end
  end
end

-- While a room that lost writes is published again it is not whole: nobody is to take it for the truth (SPEC RC2).
local function is_rebuilding(meta)
  local ends_at = whole(redis.call('HGET', meta, 'rebuildingUntilMs'))
  return ends_at ~= nil and now_ms() < ends_at
end

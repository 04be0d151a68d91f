-- Takes a claim out, and its room with the last claim in it.
local function forget_claim(claims, rooms, claim)
  if redis.call('ZREM', claims, claim) == 0 then return end
  local room = string.match(claim, '^[^|]+')
  if redis.call('HINCRBY', rooms, room, -1) <= 0 then redis.call('HDEL', rooms, room) end
end
-- Sets a claim's lease; both keys last as long as the last of their claims.
local function hold_claim(claims, rooms, claim, now, lease)
  if redis.call('ZADD', claims, string.format('%.0f', now + lease), claim) == 1 then
    redis.call('HINCRBY', rooms, string.match(claim, '^[^|]+'), 1)
  end
  for _, key in ipairs({ claims, rooms }) do
    if redis.call('PTTL', key) < lease then redis.call('PEXPIRE', key, string.format('%.0f', lease)) end
  end
end
-- Takes out what has lapsed by Redis TIME.
local function forget_lapsed(claims, rooms, now)
  for _, claim in ipairs(redis.call('ZRANGEBYSCORE', claims, '-inf', string.format('%.0f', now))) do
    forget_claim(claims, rooms, claim)
  end
end

-- Counts a claim of a room in or out. An invalid count is computed again from the claims as they are at that point.
local function count_claim(claims, rooms, claim, by)
  local room = string.match(claim, '^[^|]+')
  if not room then return end
  local count = redis.pcall('HINCRBY', rooms, room, by)
  if type(count) ~= 'number' then
    count = 0
    for _, other in ipairs(redis.call('ZRANGE', claims, 0, -1)) do
      if string.match(other, '^[^|]+') == room then count = count + 1 end
    end
    redis.call('HSET', rooms, room, count)
  end
  if count <= 0 then redis.call('HDEL', rooms, room) end
end
-- Removes a claim, and its room with the room's last claim.
local function forget_claim(claims, rooms, claim)
  if redis.call('ZREM', claims, claim) == 1 then count_claim(claims, rooms, claim, -1) end
end
-- Sets a claim's lease; both keys last as long as their longest claim.
local function hold_claim(claims, rooms, claim, now, lease)
  if redis.call('ZADD', claims, string.format('%.0f', now + lease), claim) == 1 then
    count_claim(claims, rooms, claim, 1)
  end
  for _, key in ipairs({ claims, rooms }) do
    if redis.call('PTTL', key) < lease then redis.call('PEXPIRE', key, string.format('%.0f', lease)) end
  end
end
-- Removes the claims that have lapsed by Redis TIME.
local function forget_lapsed(claims, rooms, now)
  for _, claim in ipairs(redis.call('ZRANGEBYSCORE', claims, '-inf', string.format('%.0f', now))) do
    forget_claim(claims, rooms, claim)
  end
end

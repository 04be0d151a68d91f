-- An epoch above every one of this room, also after a failover that forgot some: never below Redis TIME.
local function next_epoch(meta)
  local time = redis.call('TIME')
  local now_us = tonumber(time[1]) * 1000000 + tonumber(time[2])
  local last = whole(redis.call('HGET', meta, 'lastEpoch')) or 0
  -- Somebody led the room to the end: a higher one could not be read, and who was placed under it would be lost.
  if last >= HIGHEST_WHOLE then last = 0 end
  local epoch = string.format('%.0f', math.max(last + 1, now_us))
  redis.call('HSET', meta, 'lastEpoch', epoch)
  return epoch
end

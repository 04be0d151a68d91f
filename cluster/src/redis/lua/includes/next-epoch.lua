-- An epoch above every earlier one of this room, even after a failover that lost some: never below Redis TIME.
local function next_epoch(meta)
  local time = redis.call('TIME')
  local now_us = tonumber(time[1]) * 1000000 + tonumber(time[2])
  local last = whole(redis.call('HGET', meta, 'lastEpoch')) or 0
  -- The room has reached the highest epoch: a higher one could not be read, and a peer placed under it would be lost.
  if last >= HIGHEST_WHOLE then last = 0 end
  local epoch = string.format('%.0f', math.max(last + 1, now_us))
  redis.call('HSET', meta, 'lastEpoch', epoch)
  return epoch
end

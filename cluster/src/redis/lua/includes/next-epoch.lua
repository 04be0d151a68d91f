-- An epoch above every one of this room, also after a failover that forgot some: never below Redis TIME.
local function next_epoch(meta)
  local time = redis.call('TIME')
  local now_us = tonumber(time[1]) * 1000000 + tonumber(time[2])
  local last = whole(redis.call('HGET', meta, 'lastEpoch')) or 0
  local epoch = string.format('%.0f', math.max(last + 1, now_us))
  redis.call('HSET', meta, 'lastEpoch', epoch)
  return epoch
end

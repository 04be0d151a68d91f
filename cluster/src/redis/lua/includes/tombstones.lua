--@limit MAX_TOMBSTONES
-- Tombstones: peers that left and tracks that ended, with the time in milliseconds, so that no owner restores them,
-- whatever happened since (SPEC RC4, RC19). If there are too many, the older half is forgotten: the cost per tombstone
-- is constant on average.
local function forget_older_tombstones(meta)
  local stones = {}
  local fields = redis.call('HGETALL', meta)
  for index = 1, #fields, 2 do
    if string.sub(fields[index], 1, 5) == 'gone|' then
      stones[#stones + 1] = { field = fields[index], at = whole(fields[index + 1]) or 0 }
    end
  end
  table.sort(stones, function(left, right) return left.at > right.at end)
  local kept = math.min(#stones, MAX_TOMBSTONES / 2)
  for index = kept + 1, #stones do redis.call('HDEL', meta, stones[index].field) end
  redis.call('HSET', meta, 'tombstones', kept)
end
local function note_gone(meta, kind, id)
  if redis.call('HSET', meta, 'gone|' .. kind .. '|' .. id, string.format('%.0f', now_ms())) == 0 then return end
  local count = (whole(redis.call('HGET', meta, 'tombstones')) or 0) + 1
  redis.call('HSET', meta, 'tombstones', count)
  if count > MAX_TOMBSTONES then forget_older_tombstones(meta) end
end
-- When a peer left or a track ended, in milliseconds; nil if no tombstone is known.
local function gone_at(meta, kind, id)
  return whole(redis.call('HGET', meta, 'gone|' .. kind .. '|' .. id))
end
-- Forgets all of a room but its tombstones.
local function keep_only_tombstones(meta)
  for _, field in ipairs(redis.call('HKEYS', meta)) do
    if string.sub(field, 1, 5) ~= 'gone|' and field ~= 'tombstones' then redis.call('HDEL', meta, field) end
  end
end

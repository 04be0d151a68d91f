-- Which tracks a peer has is noted in the room's meta, so that what concerns one peer costs nothing for the tracks of others.
local function track_ids_of(meta, peer_id)
  local ids = {}
  for id in string.gmatch(redis.call('HGET', meta, 'tracks|' .. peer_id) or '', '[^,]+') do ids[#ids + 1] = id end
  return ids
end
local function note_track_ids(meta, peer_id, ids)
  if #ids == 0 then
    redis.call('HDEL', meta, 'tracks|' .. peer_id)
  else
    redis.call('HSET', meta, 'tracks|' .. peer_id, table.concat(ids, ','))
  end
end
local function note_track_of(meta, peer_id, track_id)
  local ids = track_ids_of(meta, peer_id)
  for _, id in ipairs(ids) do if id == track_id then return end end
  ids[#ids + 1] = track_id
  note_track_ids(meta, peer_id, ids)
end
local function forget_track_of(meta, peer_id, track_id)
  local kept = {}
  for _, id in ipairs(track_ids_of(meta, peer_id)) do
    if id ~= track_id then kept[#kept + 1] = id end
  end
  note_track_ids(meta, peer_id, kept)
end

-- The ids of a peer's tracks.
local function track_ids_of(meta, peer_id)
  return list_of_peer(meta, 'tracks', peer_id)
end
local function note_track_ids(meta, peer_id, ids)
  note_list_of_peer(meta, 'tracks', peer_id, ids)
end
local function note_track_of(meta, peer_id, track_id)
  add_to_list_of_peer(meta, 'tracks', peer_id, track_id)
end
local function forget_track_of(meta, peer_id, track_id)
  local kept = {}
  for _, id in ipairs(track_ids_of(meta, peer_id)) do
    if id ~= track_id then kept[#kept + 1] = id end
  end
  note_track_ids(meta, peer_id, kept)
end

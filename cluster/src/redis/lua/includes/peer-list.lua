-- Lists what a peer has of a kind, in the room's meta under `kind|peerId`, so that the cost of one peer's commands does
-- not grow with what others have.
local function list_of_peer(meta, kind, peer_id)
  local items = {}
  for item in string.gmatch(redis.call('HGET', meta, kind .. '|' .. peer_id) or '', '[^,]+') do items[#items + 1] = item end
  return items
end
local function note_list_of_peer(meta, kind, peer_id, items)
  if #items == 0 then
    redis.call('HDEL', meta, kind .. '|' .. peer_id)
  else
    redis.call('HSET', meta, kind .. '|' .. peer_id, table.concat(items, ','))
  end
end
local function add_to_list_of_peer(meta, kind, peer_id, item)
  local items = list_of_peer(meta, kind, peer_id)
  for _, known in ipairs(items) do if known == item then return end end
  items[#items + 1] = item
  note_list_of_peer(meta, kind, peer_id, items)
end

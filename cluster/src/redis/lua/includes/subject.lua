-- Counts how often one subject of tokens is in the room: the subject's peers, and the subject of each peer.
local function peers_of_subject(placements, meta, subject)
  local peers = {}
  for peer_id in string.gmatch(redis.call('HGET', meta, 'subject|' .. subject) or '', '[%w_-]+') do
    -- A peer that was removed without clearing this field is not counted.
    if redis.call('HEXISTS', placements, peer_id) == 1 then peers[#peers + 1] = peer_id end
  end
  return peers
end
local function note_subject(meta, subject, peers, peer_id)
  peers[#peers + 1] = peer_id
  redis.call('HSET', meta, 'subject|' .. subject, table.concat(peers, ','), 'subject-of|' .. peer_id, subject)
end
-- Call this after the peer's placement was removed.
local function forget_subject(placements, meta, peer_id)
  local subject = redis.call('HGET', meta, 'subject-of|' .. peer_id)
  if not subject then return end
  local peers = peers_of_subject(placements, meta, subject)
  redis.call('HDEL', meta, 'subject-of|' .. peer_id)
  if #peers == 0 then
    redis.call('HDEL', meta, 'subject|' .. subject)
  else
    redis.call('HSET', meta, 'subject|' .. subject, table.concat(peers, ','))
  end
end

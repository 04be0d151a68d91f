-- The generation of a peer's session tokens in use; 0 until one was used or confirmed.
local function token_in_use(meta, peer_id)
  return whole(redis.call('HGET', meta, 'token|' .. peer_id)) or 0
end
local function use_token(meta, peer_id, generation)
  redis.call('HSET', meta, 'token|' .. peer_id, generation)
end

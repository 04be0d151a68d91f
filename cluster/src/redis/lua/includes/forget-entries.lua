-- Removes all entries of a peer, deleted ones included. The peer's tombstone keeps them from being restored.
local function forget_entries_of(entries, meta, peer_id)
  local fields = fields_of_peer(meta, peer_id)
  if #fields == 0 then return end
  local state = read_entry_state(entries, meta)
  for _, field in ipairs(fields) do
    count_entry(state, field, read_entry(entries, field), -1)
    redis.call('HDEL', entries, field)
  end
  note_fields_of_peer(meta, peer_id, {})
  write_entry_state(meta, state)
end

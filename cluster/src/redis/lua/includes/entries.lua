--@limit MAX_ENTRIES_OF_PEER
--@limit MAX_ENTRY_TOMBSTONES
--@limit MAX_ROOM_ENTRY_BYTES
-- The fields of a peer's entries.
local function fields_of_peer(meta, peer_id)
  return list_of_peer(meta, 'entries', peer_id)
end
local function note_fields_of_peer(meta, peer_id, fields)
  note_list_of_peer(meta, 'entries', peer_id, fields)
end

-- Forgets deleted entries. An edge that still has one from before its deletion cannot restore it, since its version is
-- not above the highest forgotten one (SPEC RE19).
local function forget_entry_tombstones(entries, state, fields)
  for _, field in ipairs(fields) do
    local entry = read_entry(entries, field)
    if entry then
      count_entry(state, field, entry, -1)
      state.floor = math.max(state.floor, entry.version)
      redis.call('HDEL', entries, field)
    end
  end
end

-- Forgets the older half of the room's own deleted entries: the cost per entry is constant on average.
local function forget_older_entry_tombstones(entries, state)
  if state.tombstones <= MAX_ENTRY_TOMBSTONES then return end
  local found = {}
  local all = redis.call('HGETALL', entries)
  for index = 1, #all, 2 do
    local _, owner = parts_of_field(all[index])
    local entry = parse_entry(all[index + 1])
    if owner == '' and entry and not entry.is_live then found[#found + 1] = { field = all[index], version = entry.version } end
  end
  table.sort(found, function(left, right) return left.version < right.version end)
  local forgotten = {}
  for index = 1, #found - MAX_ENTRY_TOMBSTONES / 2 do forgotten[index] = found[index].field end
  forget_entry_tombstones(entries, state, forgotten)
end

-- Writes an entry, replacing the one under its field.
local function put_entry(entries, meta, state, field, version, json)
  local _, owner = parts_of_field(field)
  local before = read_entry(entries, field)
  count_entry(state, field, before, -1)
  count_entry(state, field, { version = version, json = json, is_live = json ~= '' }, 1)
  state.version = math.max(state.version, version)
  redis.call('HSET', entries, field, digits_of(version) .. '|' .. json)
  if owner ~= '' and not before then add_to_list_of_peer(meta, 'entries', owner, field) end
end

-- An entry as JSON for an event, and the event for several entries. The parts of a field need no quoting; the value's
-- JSON is copied as it came.
local function entry_as_json(field, version, json)
  local kind, owner, name = parts_of_field(field)
  local parts = { '"kind":"' .. kind .. '"' }
  if owner ~= '' then parts[#parts + 1] = '"peerId":"' .. owner .. '"' end
  if name ~= '' then parts[#parts + 1] = '"name":"' .. name .. '"' end
  parts[#parts + 1] = '"version":' .. digits_of(version)
  if json ~= '' then parts[#parts + 1] = '"value":' .. json end
  return '{' .. table.concat(parts, ',') .. '}'
end
local function append_entries_changed(log, meta, changes)
  if #changes == 0 then return {} end
  return append_encoded(log, meta, '{"type":"entries.changed","changes":[' .. table.concat(changes, ',') .. ']}')
end

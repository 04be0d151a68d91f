--[[
Changes entries of a room, all or none: only where every condition is met (SPEC RE2) and the bounds are kept (RE4).

KEYS[1] placements
KEYS[2] entries
KEYS[3] log
KEYS[4] meta
ARGV[1] actor - the peer that changes
ARGV[2] edgeId - the edge that requests the change
ARGV[3] conditions - each kind|peerId|name|version, with 0 if the entry must not exist, joined by \30
ARGV[4] writes - each maxOfKind|kind|peerId|name|JSON, without the JSON to delete it, joined by \30
Returns {"changed", entries as field/value pairs, event or {}}, {"unmet", the same for those that the conditions name}, or {"refused", error code}
]]
--@include clock
--@include whole
--@include last-event
--@include add-entry
--@include append-event
--@include placement
--@include entry-state
--@include peer-list
--@include entries
--@include keep-keys
local actor = read_placement(keys.placements, args.actor)
if not actor then return { 'refused', 'peer_not_found' } end
-- Another edge resumed the session: this edge's request comes too late.
if actor.edge ~= args.edgeId then return { 'refused', 'replaced' } end

local is_met, current = true, {}
for condition in string.gmatch(args.conditions, '[^\30]+') do
  local field, version = string.match(condition, '^(.*)|(%d+)$')
  local entry = read_entry(keys.entries, field)
  local live = entry and entry.is_live and entry.version or 0
  if live ~= tonumber(version) then is_met = false end
  current[#current + 1] = field
  current[#current + 1] = entry and digits_of(entry.version) .. '|' .. entry.json or '0|'
end
if not is_met then return { 'unmet', current } end

local state = read_entry_state(keys.entries, keys.meta)
local written, writes = {}, {}
local more_bytes, more_of_kind, more_of_peer = 0, {}, {}
for record in string.gmatch(args.writes, '[^\30]+') do
  local most, field, json = string.match(record, '^(%d+)|([^|]*|[^|]*|[^|]*)|(.*)$')
  local kind, owner = parts_of_field(field)
  local before = read_entry(keys.entries, field)
  local was_live = before ~= nil and before.is_live
  written[#written + 1] = field
  local is_so_already = (was_live and before.json or '') == json
  if not is_so_already then
    if owner ~= '' and json ~= '' and not read_placement(keys.placements, owner) then return { 'refused', 'peer_not_found' } end
    writes[#writes + 1] = { field = field, json = json }
    more_bytes = more_bytes + (json ~= '' and #field + #json or 0) - (was_live and #field + #before.json or 0)
    more_of_kind[kind] = (more_of_kind[kind] or 0) + (json ~= '' and 1 or 0) - (was_live and 1 or 0)
    if more_of_kind[kind] > 0 and (state.kinds[kind] or 0) + more_of_kind[kind] > tonumber(most) then
      return { 'refused', 'limit_reached' }
    end
    if owner ~= '' and not before then more_of_peer[owner] = (more_of_peer[owner] or 0) + 1 end
  end
end
if more_bytes > 0 and state.bytes + more_bytes > MAX_ROOM_ENTRY_BYTES then return { 'refused', 'limit_reached' } end

-- If a peer has reached its limit, its deleted entries make space, except those that are written now.
local is_written = {}
for _, field in ipairs(written) do is_written[field] = true end
local forgotten = {}
for owner, more in pairs(more_of_peer) do
  local fields = fields_of_peer(keys.meta, owner)
  if #fields + more > MAX_ENTRIES_OF_PEER then
    local kept = {}
    for _, field in ipairs(fields) do
      local entry = read_entry(keys.entries, field)
      if (entry and entry.is_live) or is_written[field] then kept[#kept + 1] = field else forgotten[#forgotten + 1] = field end
    end
    if #kept + more > MAX_ENTRIES_OF_PEER then return { 'refused', 'limit_reached' } end
    more_of_peer[owner] = kept
  end
end
-- All checks have passed: only writes follow.
for owner, kept in pairs(more_of_peer) do
  if type(kept) == 'table' then note_fields_of_peer(keys.meta, owner, kept) end
end
forget_entry_tombstones(keys.entries, state, forgotten)

local changes = {}
for _, write in ipairs(writes) do
  local time = redis.call('TIME')
  local last = state.version >= HIGHEST_WHOLE and 0 or state.version
  local version = math.max(last + 1, tonumber(time[1]) * 1000000 + tonumber(time[2]))
  if last == 0 then state.version = 0 end
  put_entry(keys.entries, keys.meta, state, write.field, version, write.json)
  changes[#changes + 1] = entry_as_json(write.field, version, write.json)
end
local event = {}
if #writes > 0 then
  forget_older_entry_tombstones(keys.entries, state)
  write_entry_state(keys.meta, state)
  event = append_entries_changed(keys.log, keys.meta, changes)
  keep_keys({ keys.entries, keys.log, keys.meta })
end
local now = {}
for _, field in ipairs(written) do
  now[#now + 1] = field
  now[#now + 1] = redis.call('HGET', keys.entries, field) or '0|'
end
return { 'changed', now, event }

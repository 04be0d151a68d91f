--[[
Publishes entries again as an edge knows them: of each the highest version wins (SPEC RE5).

KEYS[1] placements
KEYS[2] entries
KEYS[3] log
KEYS[4] meta
ARGV[1] entries - each kind|peerId|name|version|JSON, without the JSON where it is deleted, joined by \30
Returns {verdicts as field/verdict pairs, event or {}}
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
--@include tombstones
--@include keep-keys
local state = read_entry_state(keys.entries, keys.meta)

-- Why an entry is not to be written, though the room knows no newer one.
local function verdict_of(field, owner, version, json, before)
  if owner == '' then
    -- A room without people is none.
    if redis.call('EXISTS', keys.placements) == 0 then return 'unplaced' end
  else
    if not read_placement(keys.placements, owner) then return 'unplaced' end
    local left_at = gone_at(keys.meta, 'peer', owner)
    -- Versions are in µs, and what happened in the millisecond of the leaving happened before it.
    if left_at and (left_at + 1) * 1000 > version then return 'gone' end
    if not before and #fields_of_peer(keys.meta, owner) >= MAX_ENTRIES_OF_PEER then return 'full' end
  end
  if not before and version <= state.floor then return 'gone' end
  local bytes = state.bytes + #field + #json
  if before and before.is_live then bytes = bytes - #field - #before.json end
  if json ~= '' and bytes > MAX_ROOM_ENTRY_BYTES then return 'full' end
  return nil
end

local verdicts, changes = {}, {}
local written = 0
for record in string.gmatch(args.entries, '[^\30]+') do
  local field, digits, json = string.match(record, '^([^|]*|[^|]*|[^|]*)|(%d+)|(.*)$')
  local version = tonumber(digits)
  local _, owner = parts_of_field(field)
  local before = read_entry(keys.entries, field)
  if not before or before.version < version then
    local verdict = verdict_of(field, owner, version, json, before)
    if verdict then
      verdicts[#verdicts + 1] = field
      verdicts[#verdicts + 1] = verdict
    else
      put_entry(keys.entries, keys.meta, state, field, version, json)
      written = written + 1
      -- What nobody sees nobody is told of.
      if json ~= '' or (before and before.is_live) then changes[#changes + 1] = entry_as_json(field, version, json) end
    end
  end
end
local event = {}
if written > 0 then
  forget_older_entry_tombstones(keys.entries, state)
  write_entry_state(keys.meta, state)
  event = append_entries_changed(keys.log, keys.meta, changes)
  keep_keys({ keys.entries, keys.log, keys.meta })
end
return { verdicts, event }

--@limit ENTRY_SUM_MODULUS
-- The parts of an entry; nil if it is missing or unreadable. A deleted one has no JSON.
local function parse_entry(value)
  if not value then return nil end
  local digits, json = string.match(value, '^(%d+)|(.*)$')
  local version = whole(digits)
  if not version then return nil end
  return { version = version, json = json, is_live = json ~= '' }
end
local function read_entry(entries, field)
  return parse_entry(redis.call('HGET', entries, field))
end
-- Kind, owner and name from an entry's field; nil for an invalid field.
local function parts_of_field(field)
  return string.match(field, '^(%l[%l%d-]*)|([%w_-]*)|([%w_-]*)$')
end
local function digits_of(number)
  return string.format('%.0f', number)
end

-- Adds an entry to the counts of the room's entries, or, with -1, removes it.
local function count_entry(state, field, entry, by)
  local kind, owner = parts_of_field(field)
  if not kind or not entry then return end
  state.count = state.count + by
  state.sum = (state.sum + by * (entry.version % ENTRY_SUM_MODULUS)) % ENTRY_SUM_MODULUS
  if entry.is_live then
    state.bytes = state.bytes + by * (#field + #entry.json)
    state.kinds[kind] = (state.kinds[kind] or 0) + by
  elseif owner == '' then
    state.tombstones = state.tombstones + by
  end
end

-- The counts of all entries: the highest version, their number, the sum of their versions, the bytes of the live ones,
-- the room's own deleted ones, the highest version that was deleted and forgotten, and the number of live ones of each
-- kind.
local function parse_entry_state(noted)
  local version, count, sum, bytes, tombstones, floor, kinds =
    string.match(noted, '^(%d+)|(%d+)|(%d+)|(%d+)|(%d+)|(%d+)|([%l%d=,-]*)$')
  local state = {
    version = whole(version), count = whole(count), sum = whole(sum), bytes = whole(bytes),
    tombstones = whole(tombstones), floor = whole(floor), kinds = {},
  }
  if not (state.version and state.count and state.sum and state.bytes and state.tombstones and state.floor) then return nil end
  for kind, live in string.gmatch(kinds, '([%l%d-]+)=(%d+)') do state.kinds[kind] = tonumber(live) end
  return state
end
local function read_entry_state(entries, meta)
  local noted = redis.call('HGET', meta, 'entries')
  local state = noted and parse_entry_state(noted)
  if state then return state end
  state = { version = 0, count = 0, sum = 0, bytes = 0, tombstones = 0, floor = 0, kinds = {} }
  -- Nothing valid is noted, so the entries are counted again.
  local all = redis.call('HGETALL', entries)
  for index = 1, #all, 2 do
    local entry = parse_entry(all[index + 1])
    count_entry(state, all[index], entry, 1)
    if entry then state.version = math.max(state.version, entry.version) end
  end
  return state
end
local function write_entry_state(meta, state)
  local kinds = {}
  for kind, live in pairs(state.kinds) do
    if live > 0 then kinds[#kinds + 1] = kind .. '=' .. digits_of(live) end
  end
  table.sort(kinds)
  local numbers = { state.version, state.count, state.sum, state.bytes, state.tombstones, state.floor }
  for index, number in ipairs(numbers) do numbers[index] = digits_of(number) end
  redis.call('HSET', meta, 'entries', table.concat(numbers, '|') .. '|' .. table.concat(kinds, ','))
end

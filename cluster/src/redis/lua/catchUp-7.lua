--[[
Gives what happened after an event: the events when the log still joins up with it, else a snapshot (SPEC LG3).

KEYS[1] placements
KEYS[2] roster
KEYS[3] rosterOrder
KEYS[4] tracks
KEYS[5] log
KEYS[6] chat
KEYS[7] meta
ARGV[1] afterEventId
ARGV[2] pageSize
Returns {"events", list of events} or {"snapshot", snapshot}
]]
--@include snapshot
local last = redis.call('HGET', KEYS[7], 'lastEventId') or '0-0'
if last == ARGV[1] then return { 'events', {} } end
local entries = redis.call('XRANGE', KEYS[5], '(' .. ARGV[1], '+')
if #entries > 0 and entries[1][2][2] == ARGV[1] then
  local events = {}
  for index, entry in ipairs(entries) do
    events[index] = { entry[1], entry[2][2], entry[2][4] }
  end
  return { 'events', events }
end
return { 'snapshot', snapshot(KEYS[2], KEYS[3], KEYS[4], KEYS[6], KEYS[7], tonumber(ARGV[2])) }

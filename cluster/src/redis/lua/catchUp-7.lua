--[[
Gives what happened after an event: the events when the log still joins up with it and they are not too much for one
message, else a snapshot (SPEC LG3). While the room is being rebuilt there is neither, and so nothing new (RC2).

KEYS[1] placements
KEYS[2] roster
KEYS[3] rosterOrder
KEYS[4] tracks
KEYS[5] log
KEYS[6] chat
KEYS[7] meta
ARGV[1] afterEventId
ARGV[2] pageSize
ARGV[3] snapshotOnly - 1 for a snapshot in any case
Returns {"events", list of events} or {"snapshot", snapshot}
]]
--@include clock
--@include whole
--@include last-event
--@include snapshot
--@include rebuild
local last = last_event_id(KEYS[5], KEYS[7])
local function room()
  if is_rebuilding(KEYS[7]) then return { 'events', {} } end
  return { 'snapshot', snapshot(KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], tonumber(ARGV[2])) }
end
if ARGV[3] == '1' then return room() end
if last == ARGV[1] then return { 'events', {} } end
local events = {}
local bytes = 0
local joins_up
for _, entry in ipairs(redis.call('XRANGE', KEYS[5], '(' .. ARGV[1], '+')) do
  local fields = entry[2]
  local is_event = #fields == 4 and fields[1] == 'previousId' and fields[3] == 'event'
  if is_event and joins_up == nil then joins_up = fields[2] == ARGV[1] end
  -- What somebody else wrote goes along without a content, so that it is noticed.
  if is_event then bytes = bytes + #fields[4] end
  events[#events + 1] = { entry[1], is_event and fields[2] or '', is_event and fields[4] or '' }
end
if joins_up and bytes <= 2097152 then return { 'events', events } end
return room()

--[[
Gives the events after an event, if the log still has all of them and they fit into one message (SPEC LG3, LG9).

KEYS[1] log
KEYS[2] meta
ARGV[1] afterEventId
Returns {"events", list of events}, or {"missed"} if the caller needs a snapshot
]]
--@include last-event
--@limit MAX_CATCH_UP_BYTES
if last_event_id(keys.log, keys.meta) == args.afterEventId then return { 'events', {} } end
local events = {}
local bytes = 0
local joins_up
for _, entry in ipairs(redis.call('XRANGE', keys.log, '(' .. args.afterEventId, '+')) do
  local fields = entry[2]
  local is_event = #fields == 4 and fields[1] == 'previousId' and fields[3] == 'event'
  if is_event and joins_up == nil then joins_up = fields[2] == args.afterEventId end
  -- A foreign entry is given without content, so that the caller notices it.
  if is_event then bytes = bytes + #fields[4] end
  if joins_up == false or bytes > MAX_CATCH_UP_BYTES then return { 'missed' } end
  events[#events + 1] = { entry[1], is_event and fields[2] or '', is_event and fields[4] or '' }
end
if joins_up then return { 'events', events } end
return { 'missed' }

-- Adds an entry to the log, and gives its id and whether the log was begun anew, under the other id: after an entry of somebody
-- else's with an id near the highest a stream has none left, or only such as nobody can read (SPEC ST13).
local function add_entry(log, meta, id, anew_id, previous, event)
  local added = redis.pcall('XADD', log, id, 'previousId', previous, 'event', event)
  if type(added) == 'string' and is_event_id(added) then return added, false end
  local is_out_of_ids = type(added) == 'string'
    or string.find(added.err, 'exhausted') or string.find(added.err, 'equal or smaller')
  -- Any other error is the caller's.
  if not is_out_of_ids then return redis.call('XADD', log, id, 'previousId', previous, 'event', event), false end
  redis.call('DEL', log)
  redis.call('HSET', meta, 'logBytes', 0)
  return redis.call('XADD', log, anew_id, 'previousId', previous, 'event', event), true
end

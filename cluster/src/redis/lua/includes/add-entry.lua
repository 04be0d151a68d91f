-- Adds an entry to the log. Gives its id, and whether the log was started again, under the fallback id: after a foreign
-- entry with an id near the highest, a stream has no ids left, or only ids that nobody can read (SPEC ST13).
local function add_entry(log, meta, id, fallback_id, previous, event)
  local added = redis.pcall('XADD', log, id, 'previousId', previous, 'event', event)
  if type(added) == 'string' and is_event_id(added) then return added, false end
  local is_out_of_ids = type(added) == 'string'
    or string.find(added.err, 'exhausted') or string.find(added.err, 'equal or smaller')
  -- The caller handles any other error.
  if not is_out_of_ids then return redis.call('XADD', log, id, 'previousId', previous, 'event', event), false end
  redis.call('DEL', log)
  redis.call('HSET', meta, 'logBytes', 0)
  return redis.call('XADD', log, fallback_id, 'previousId', previous, 'event', event), true
end

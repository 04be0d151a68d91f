-- The parts of a track record; nil if it is missing or unreadable.
local function parse_track(value)
  if not value then return nil end
  local epoch, node, peer, kind, source, paused, replaces =
    string.match(value, '^(%d+)|([^|]+)|([^|]+)|([^|]+)|([^|]+)|([01])|?([%w_-]*)$')
  if not paused then return nil end
  return {
    epoch = tonumber(epoch), node = node, peer = peer, kind = kind, source = source, paused = paused == '1',
    replaces = replaces,
  }
end

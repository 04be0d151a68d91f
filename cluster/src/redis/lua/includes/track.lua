-- A track record as its parts.
local function parse_track(value)
  local epoch, node, peer, kind, source, paused = string.match(value, '^(%d+)|([^|]+)|([^|]+)|([^|]+)|([^|]+)|([01])$')
  return { epoch = tonumber(epoch), node = node, peer = peer, kind = kind, source = source, paused = paused == '1' }
end

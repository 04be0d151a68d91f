-- What the log tells of who left, with the last time in milliseconds, and of tracks that ended.
local function removals(log)
  local left, ended = {}, {}
  for _, entry in ipairs(redis.call('XRANGE', log, '-', '+')) do
    local is_json, event = pcall(cjson.decode, entry[2][4] or '')
    if is_json and type(event) == 'table' then
      if event.type == 'peer.left' and event.peerId then left[event.peerId] = tonumber(string.match(entry[1], '^%d+')) end
      if event.type == 'track.ended' and event.trackId then ended[event.trackId] = true end
    end
  end
  return left, ended
end

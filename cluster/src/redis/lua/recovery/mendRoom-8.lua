--[[
Removes a room if one of its keys has a wrong type, since no script can read it (SPEC ST12); its owners republish it. Checks by
commands that every process may use, so that no Redis user needs another right.

KEYS[1] placements
KEYS[2] roster
KEYS[3] rosterOrder
KEYS[4] tracks
KEYS[5] log
KEYS[6] chat
KEYS[7] entries
KEYS[8] meta
Returns 1 when it was removed, else 0
]]
local checks = {
  { 'HLEN', keys.placements }, { 'HLEN', keys.roster }, { 'ZCARD', keys.rosterOrder }, { 'HLEN', keys.tracks }, { 'XLEN', keys.log },
  { 'LRANGE', keys.chat, 0, 0 }, { 'HLEN', keys.entries }, { 'HLEN', keys.meta },
}
for _, check in ipairs(checks) do
  local reply = redis.pcall(unpack(check))
  if type(reply) == 'table' and reply.err and string.find(reply.err, 'WRONGTYPE') then
    redis.call('DEL', keys.placements, keys.roster, keys.rosterOrder, keys.tracks, keys.log, keys.chat, keys.entries, keys.meta)
    return 1
  end
end
return 0

--[[
Finds out whether the server takes writes: writes a field and removes it, which leaves nothing (SPEC HL1).

KEYS[1] probe
Returns 1
]]
redis.call('HSET', keys.probe, 'is', 'written')
redis.call('HDEL', keys.probe, 'is')
return 1

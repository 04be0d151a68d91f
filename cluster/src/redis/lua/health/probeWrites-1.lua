--[[
Checks whether the server accepts writes: writes a field and removes it, and leaves nothing behind (SPEC HL1).

KEYS[1] probe
Returns 1
]]
redis.call('HSET', keys.probe, 'is', 'written')
redis.call('HDEL', keys.probe, 'is')
return 1

--[[
Takes away what tokens grant that were issued until now, by Redis TIME, for a time (SPEC RJ4). An earlier revocation is
replaced.

KEYS[1] revoked
ARGV[1] forMs
Returns 1
]]
--@include clock
redis.call('SET', KEYS[1], string.format('%.0f', now_ms()), 'PX', ARGV[1])
return 1

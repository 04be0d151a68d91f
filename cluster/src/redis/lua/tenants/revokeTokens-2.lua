--[[
Takes away what tokens grant that were issued until now, by Redis TIME, for a time (SPEC RJ4), and notes that sessions that began
until now are over where it says so (OP14). An earlier revocation is replaced; one that ends no session leaves it noted which are over.

KEYS[1] revoked
KEYS[2] ended
ARGV[1] forMs
ARGV[2] ends - '1' or nothing
Returns 1
]]
--@include clock
local now = string.format('%.0f', now_ms())
redis.call('SET', keys.revoked, now, 'PX', args.forMs)
if args.ends == '1' then redis.call('SET', keys.ended, now, 'PX', args.forMs) end
return 1

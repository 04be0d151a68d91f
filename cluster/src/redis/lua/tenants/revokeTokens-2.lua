--[[
Revokes the tokens that were issued until now, by Redis TIME, for a time (SPEC RJ4). If asked, also ends the sessions that began
until now (OP14). Replaces an earlier revocation; one that ends no sessions keeps the note of those that were ended earlier.

KEYS[1] revoked
KEYS[2] ended
ARGV[1] forMs
ARGV[2] ends - '1' to end sessions too, else empty
Returns 1
]]
--@include clock
local now = string.format('%.0f', now_ms())
redis.call('SET', keys.revoked, now, 'PX', args.forMs)
if args.ends == '1' then redis.call('SET', keys.ended, now, 'PX', args.forMs) end
return 1

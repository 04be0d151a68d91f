--[[
Notes that the client has the session token of a generation, so that older ones are refused from now on (SPEC SK2).

KEYS[1] placements
KEYS[2] meta
ARGV[1] peerId
ARGV[2] tokenGeneration
Returns 1 when it is in use now, else 0
]]
--@include whole
--@include token
-- A note about a peer that is gone would never be removed.
if redis.call('HEXISTS', keys.placements, args.peerId) == 0 then return 0 end
if tonumber(args.tokenGeneration) <= token_in_use(keys.meta, args.peerId) then return 0 end
use_token(keys.meta, args.peerId, args.tokenGeneration)
return 1

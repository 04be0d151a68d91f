--[[
Notes that the client has the session token of a generation, so that older ones are not taken any more (SPEC SK2).

KEYS[1] placements
KEYS[2] roster
KEYS[3] rosterOrder
KEYS[4] tracks
KEYS[5] log
KEYS[6] chat
KEYS[7] meta
ARGV[1] peerId
ARGV[2] tokenGeneration
Returns 1 when it is in use now, else 0
]]
--@include whole
--@include token
-- What is noted of a peer that is gone would be left over for ever.
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
if tonumber(ARGV[2]) <= token_in_use(KEYS[7], ARGV[1]) then return 0 end
use_token(KEYS[7], ARGV[1], ARGV[2])
return 1

--[[
Whether a token was revoked, or a session ended: for its tenant, its room, its person, or its person in its room (SPEC RJ16, OP14).

KEYS[1] ofTenant
KEYS[2] ofRoom
KEYS[3] ofPerson
KEYS[4] ofPersonInRoom
ARGV[1] sinceMs - when the token was issued, or the session began
ARGV[2] leewayMs - how far the clock of the token's issuer may be ahead
Returns 1 when it was, else 0
]]
--@include whole
for _, value in ipairs(redis.call('MGET', keys.ofTenant, keys.ofRoom, keys.ofPerson, keys.ofPersonInRoom)) do
  local revoked_at = whole(value)
  if revoked_at and tonumber(args.sinceMs) <= revoked_at + tonumber(args.leewayMs) then return 1 end
end
return 0

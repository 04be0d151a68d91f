--[[
Gives the records whose lease runs by Redis TIME: those of the ids that the caller knows, and others up to a number.

KEYS[1] registry
ARGV[1] most - the highest number of records to give
ARGV[2] longest - the most bytes of a record to give
ARGV[3] known - ids joined by a comma, which no id can hold
ARGV[4] from - where in the registry to begin with the others: a caller that advances it meets all of them in turn
Returns {how many cannot be read, how many there are beyond the number, record as JSON...}
]]
--@include clock
local now, most, longest = now_ms(), tonumber(args.most), tonumber(args.longest)
local reply, unreadable, beyond, seen = { 0, 0 }, 0, 0, {}
local function take(value)
  seen[value] = true
  local lease_until, record = string.match(value, '^(%d+)|[^|]+|(.*)$')
  if not lease_until or #record > longest then unreadable = unreadable + 1
  elseif tonumber(lease_until) <= now then return
  elseif #reply - 2 >= most then beyond = beyond + 1
  else reply[#reply + 1] = record end
end
-- Known ids come first, so that foreign records beside them hide nobody.
for id in string.gmatch(args.known, '[^,]+') do
  local value = redis.call('HGET', keys.registry, id)
  if value then take(value) end
end
local values = redis.call('HVALS', keys.registry)
for index = 1, #values do
  local value = values[(index - 1 + tonumber(args.from)) % #values + 1]
  if not seen[value] then take(value) end
end
reply[1], reply[2] = unreadable, beyond
return reply

--@limit SLICE_REST_MS
-- The port slices that are held or rest, each with its parts. Also removes those that have rested.
local function read_slices(key, now)
  local slices = {}
  local entries = redis.call('HGETALL', key)
  for index = 1, #entries, 2 do
    local first, last, address, ipv6 = string.match(entries[index], '^(%d+)|(%d+)|([^|]*)|([^|]*)$')
    local lease_until, incarnation, node = string.match(entries[index + 1], '^(%d+)|([^|]+)|([%w_-]+)$')
    if not first or not lease_until or tonumber(lease_until) + SLICE_REST_MS <= now then
      redis.call('HDEL', key, entries[index])
    else
      slices[#slices + 1] = {
        field = entries[index], first = tonumber(first), last = tonumber(last), address = address, ipv6 = ipv6,
        lease_until = tonumber(lease_until), incarnation = incarnation, node = node,
      }
    end
  end
  return slices
end

local function in_common(left, left_ipv6, right, right_ipv6)
  return left == right or left == right_ipv6 or (left_ipv6 ~= '' and (left_ipv6 == right or left_ipv6 == right_ipv6))
end

-- Whether a slice shares ports and an announced address with the wanted one.
local function clashes(slice, first, last, address, ipv6)
  return slice.first <= last and first <= slice.last and in_common(slice.address, slice.ipv6, address, ipv6)
end

-- The slice of another node that is held now and overlaps, if there is one.
local function find_overlap(slices, now, node, first, last, address, ipv6)
  for _, slice in ipairs(slices) do
    if slice.lease_until > now and slice.node ~= node and clashes(slice, first, last, address, ipv6) then return slice end
  end
  return nil
end

local function write_slice(key, field, lease_until, incarnation, node)
  redis.call('HSET', key, field, string.format('%.0f', lease_until) .. '|' .. incarnation .. '|' .. node)
end

-- Releases the slices that a node holds, of one incarnation or, if none is named, of any: they rest from now on.
local function give_back(key, slices, now, node, incarnation)
  for _, slice in ipairs(slices) do
    if slice.lease_until > now and slice.node == node and (incarnation == nil or slice.incarnation == incarnation) then
      write_slice(key, slice.field, now, slice.incarnation, node)
    end
  end
end

--@limit HIGHEST_WHOLE
-- A whole number that a double holds exactly; nil for anything else, which is foreign.
local function whole(text)
  if not text or not string.match(text, '^%d+$') then return nil end
  local number = tonumber(text)
  if number > HIGHEST_WHOLE then return nil end
  return number
end

-- A whole number that a double holds exactly; nothing for anything else, which somebody else wrote.
local function whole(text)
  if not text or not string.match(text, '^%d+$') then return nil end
  local number = tonumber(text)
  if number > 9007199254740000 then return nil end
  return number
end

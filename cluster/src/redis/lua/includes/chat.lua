--@limit SNAPSHOT_CHAT_LENGTH
--@limit MAX_CHAT_BYTES
-- Messages are numbered in their order, from 0; the list holds the last ones. Meta has the number of each kept message
-- under `chat|messageId`, the number of the first kept one in `chatDropped`, and their size in `chatBytes`, so that no
-- message needs to be read.
local function message_id(posted)
  local is_json, message = pcall(cjson.decode, posted or '')
  if is_json and type(message) == 'table' and type(message.messageId) == 'string' then return message.messageId end
  return nil
end

-- The bytes that are kept and the number of dropped messages; counted, and the kept messages numbered, if nothing is
-- noted.
local function chat_state(chat, meta)
  local bytes, dropped = whole(redis.call('HGET', meta, 'chatBytes')), whole(redis.call('HGET', meta, 'chatDropped'))
  if bytes and dropped then return bytes, dropped end
  bytes = 0
  for index, posted in ipairs(redis.call('LRANGE', chat, 0, -1)) do
    bytes = bytes + #posted
    local id = message_id(posted)
    if id then redis.call('HSET', meta, 'chat|' .. id, index - 1) end
  end
  return bytes, 0
end

-- The message with an id, if it is kept.
local function find_posted(chat, meta, id, dropped)
  local number = whole(redis.call('HGET', meta, 'chat|' .. id))
  if not number or number < dropped then return nil end
  local posted = redis.call('LINDEX', chat, number - dropped)
  if posted and message_id(posted) == id then return posted end
  return nil
end

-- Keeps a message, and drops the oldest ones beyond the bounds (SPEC BU6).
local function keep_message(chat, meta, id, encoded, bytes, dropped)
  local length = redis.call('RPUSH', chat, encoded)
  redis.call('HSET', meta, 'chat|' .. id, string.format('%.0f', dropped + length - 1))
  bytes = bytes + #encoded
  while length > 1 and (length > SNAPSHOT_CHAT_LENGTH or bytes > MAX_CHAT_BYTES) do
    local oldest = redis.call('LPOP', chat)
    local oldest_id = message_id(oldest)
    if oldest_id then redis.call('HDEL', meta, 'chat|' .. oldest_id) end
    bytes, dropped, length = math.max(0, bytes - #oldest), dropped + 1, length - 1
  end
  redis.call('HSET', meta, 'chatBytes', string.format('%.0f', bytes), 'chatDropped', string.format('%.0f', dropped))
end

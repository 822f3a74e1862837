-- elect: take the right to replace entries that are served meanwhile, unless another load has it.
-- KEYS     the entries
-- ARGV     per key: the id of the entry that the caller saw; the token: becomes the id of the entry; lease,
--          milliseconds
-- Result   per key: 1 when taken, 0 when another load has it or the entry is a different one by now, or an error
-- Atomic because of all processes that see the same old entry one must load.
local function elect(key, seen, token, lease)
  local header = redis.pcall('GETRANGE', key, 0, LEASED_END - 1)
  if is_refusal(header) then
    return header
  end
  if type(header) == 'table' or string.sub(header, 1, ID_END) ~= ENTRY .. seen then
    return 0
  end
  local now = server_ms()
  local left = tonumber(string.sub(header, LEASED_START + 1, LEASED_END)) - now
  if left > 0 and left <= 2 * lease then -- more would be the mark of a clock that was set back
    return 0
  end
  redis.call('SETRANGE', key, ID_START, token .. lease_field(now + lease))
  outlive(key, lease)
  return 1
end
local results = {}
for i, key in ipairs(KEYS) do
  results[i] = elect(key, ARGV[3 * i - 2], ARGV[3 * i - 1], tonumber(ARGV[3 * i]))
end
return results

-- elect: take the right to replace entries that are served meanwhile, if nobody has it.
-- KEYS     the entries
-- ARGV     for each of them: the id of the entry that the caller saw; the token: becomes the id of the
--          entry; lease, milliseconds
-- Result   for each: 1 when taken, 0 when somebody else has it or the entry is another one by now, or an
--          error
-- Atomic because of all processes that see the same old entry one must load.
local function elect(key, seen, token, lease)
  local header = redis.pcall('GETRANGE', key, 0, 49)
  if type(header) == 'table' and not string.find(header.err, 'WRONGTYPE') then
    return header
  end
  if type(header) == 'table' or string.sub(header, 1, 29) ~= 'lc1 entry id=' .. seen then
    return 0
  end
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local left = tonumber(string.sub(header, 38, 50)) - now
  if left > 0 and left <= 2 * lease then -- more would be a clock that was set back
    return 0
  end
  redis.call('SETRANGE', key, 13, token .. ' leased=' .. string.format('%013.0f', now + lease))
  if redis.call('PTTL', key) < lease then
    redis.call('PEXPIRE', key, lease) -- readers do not serve it past its end; they see that one loads
  end
  return 1
end
local results = {}
for i, key in ipairs(KEYS) do
  results[i] = elect(key, ARGV[3 * i - 2], ARGV[3 * i - 1], tonumber(ARGV[3 * i]))
end
return results

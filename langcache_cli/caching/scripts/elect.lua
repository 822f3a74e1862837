-- elect: take the right to replace an entry that is served meanwhile, if nobody has it.
-- KEYS[1]  the entry
-- ARGV[1]  the id of the entry that the caller saw
-- ARGV[2]  the token: becomes the id of the entry
-- ARGV[3]  lease, milliseconds
-- Result   1 when taken, 0 when somebody else has it or the entry is another one by now
-- Atomic because of all processes that see the same old entry one must load.
local header = redis.pcall('GETRANGE', KEYS[1], 0, 49)
if type(header) == 'table' and not string.find(header.err, 'WRONGTYPE') then
  return header
end
if type(header) == 'table' or string.sub(header, 1, 29) ~= 'lc1 entry id=' .. ARGV[1] then
  return 0
end
local lease = tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local left = tonumber(string.sub(header, 38, 50)) - now
if left > 0 and left <= 2 * lease then -- more would be a clock that was set back
  return 0
end
redis.call('SETRANGE', KEYS[1], 13, ARGV[2] .. ' leased=' .. string.format('%013.0f', now + lease))
if redis.call('PTTL', KEYS[1]) < lease then
  redis.call('PEXPIRE', KEYS[1], lease) -- readers do not serve it past its end; they see that one loads
end
return 1

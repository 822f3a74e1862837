-- claim: take the right to replace an entry, whoever else is loading it.
-- KEYS[1]  the entry
-- ARGV[1]  placeholder to store when there is no entry worth keeping
-- ARGV[2]  lease, milliseconds
-- ARGV[3]  the token: becomes the id of the entry that is there
-- Result   1 when the old entry goes on being served meanwhile, 0 when the placeholder was stored
-- Atomic because every earlier load of this key must lose its right in the same step in which the
-- caller gains it: its value may be older than what the caller is about to read.
local header = redis.pcall('GETRANGE', KEYS[1], 0, 49)
if type(header) == 'table' and not string.find(header.err, 'WRONGTYPE') then
  return header
end
if type(header) == 'string' and string.find(header, '^lc1 entry id=%x+ leased=%d+$') then
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  redis.call('SETRANGE', KEYS[1], 13, ARGV[3] .. ' leased=' .. string.format('%013.0f', now + ARGV[2]))
  if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then
    redis.call('PEXPIRE', KEYS[1], ARGV[2]) -- readers do not serve it past its end; they see that one loads
  end
  return 1
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 0

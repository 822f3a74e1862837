-- renew: keep a lease alive while its load runs.
-- KEYS[1]  the entry
-- ARGV[1]  the token: the id of the placeholder, or of the entry that is served meanwhile
-- ARGV[2]  lease, milliseconds, counted from now
-- Result   1 when renewed, 0 when the lease is somebody else's or gone
-- Atomic because a lease that was lost must never be prolonged for its new holder.
local header = redis.pcall('GETRANGE', KEYS[1], 0, 28)
if type(header) == 'table' and not string.find(header.err, 'WRONGTYPE') then
  return header
end
if header == 'lc1 lease id=' .. ARGV[1] then
  return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
if header == 'lc1 entry id=' .. ARGV[1] then
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  redis.call('SETRANGE', KEYS[1], 37, string.format('%013.0f', now + ARGV[2]))
  if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then
    redis.call('PEXPIRE', KEYS[1], ARGV[2]) -- readers do not serve it past its end; they see that one loads
  end
  return 1
end
return 0

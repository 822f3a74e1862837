-- renew: keep a lease alive while its load runs.
-- KEYS[1]  the entry
-- ARGV[1]  the token
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
return 0

-- acquire: take the right to load one entry.
-- KEYS[1]  the entry
-- ARGV[1]  placeholder to store
-- ARGV[2]  lease, milliseconds
-- ARGV[3]  beginning of a stored value that the caller found unusable, or ''
-- Result   nil when the lease was taken, else the bytes that are there
-- Atomic because two callers that both saw nothing must not both believe they hold the lease.
local current = redis.pcall('GET', KEYS[1])
if type(current) == 'table' and not string.find(current.err, 'WRONGTYPE') then
  return current
end
-- a key of another type makes GET fail: it is not ours to keep, and is replaced
if type(current) == 'string' and #current > 0 then
  if ARGV[3] == '' or string.sub(current, 1, #ARGV[3]) ~= ARGV[3] then
    return current
  end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return false

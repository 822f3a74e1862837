-- commit: store what was loaded, unless it was invalidated meanwhile.
-- KEYS[1]  the entry
-- ARGV[1]  the token of the load: the id of the placeholder, or of the entry it claimed
-- ARGV[2]  the entry to store
-- ARGV[3]  time to live, milliseconds
-- Result   1 when stored, 0 when refused
-- Atomic because an invalidation between the check and the store would be lost: a stale fill.
local header = redis.pcall('GETRANGE', KEYS[1], 0, 28)
if type(header) == 'table' and not string.find(header.err, 'WRONGTYPE') then
  return header
end
if header == 'lc1 lease id=' .. ARGV[1] or header == 'lc1 entry id=' .. ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  return 1
end
return 0

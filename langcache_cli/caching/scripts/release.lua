-- release: give up a key without storing anything, so that nobody waits for the lease to end.
-- KEYS[1]  the entry
-- ARGV[1]  the token: the id of the placeholder, or of the entry that was claimed
-- Result   1 when the key was removed, 0 when it was not ours any more
-- Atomic because what somebody else put there since must not be removed.
local header = redis.pcall('GETRANGE', KEYS[1], 0, 28)
if type(header) == 'table' and not string.find(header.err, 'WRONGTYPE') then
  return header
end
if header == 'lc1 lease id=' .. ARGV[1] or header == 'lc1 entry id=' .. ARGV[1] then
  return redis.call('UNLINK', KEYS[1])
end
return 0

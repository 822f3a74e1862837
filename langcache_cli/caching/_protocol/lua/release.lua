-- release: give up keys without storing anything, so that nobody waits for their leases to end.
-- KEYS     the entries
-- ARGV     for each of them: the token, which is the id of the placeholder, or of the entry that was claimed;
--          1 to remove a claimed entry as well, 0 to let it be served on
-- Result   for each: 1 when the key was removed, 0 when it was not ours any more, or an error
-- Atomic because what somebody else put there since must not be removed.
local results = {}
for i, key in ipairs(KEYS) do
  local token, entry_too = ARGV[2 * i - 1], ARGV[2 * i] == '1'
  local header = redis.pcall('GETRANGE', key, 0, 28)
  if header == 'lc1 lease id=' .. token or (entry_too and header == 'lc1 entry id=' .. token) then
    results[i] = redis.call('UNLINK', key)
  elseif type(header) == 'table' and not string.find(header.err, 'WRONGTYPE') then
    results[i] = header
  else
    results[i] = 0
  end
end
return results

-- release: give leases back without storing anything, so that no caller waits for them to end.
-- KEYS     the entries
-- ARGV     per key: the token, which is the id of the placeholder or of the entry that was claimed; 1 to remove
--          a claimed entry as well, 0 to go on serving it
-- Result   per key: 1 when the key was removed, 0 when it shows another token, or an error
-- Atomic because what was stored there since must not be removed.
local results = {}
for i, key in ipairs(KEYS) do
  local token, entry_too = ARGV[2 * i - 1], ARGV[2 * i] == '1'
  local header = redis.pcall('GETRANGE', key, 0, ID_END - 1)
  if header == LEASE .. token or (entry_too and header == ENTRY .. token) then
    results[i] = redis.call('UNLINK', key)
  elseif is_refusal(header) then
    results[i] = header
  else
    results[i] = 0
  end
end
return results

-- release: give leases back without storing anything, so that no caller waits for them to end.
-- KEYS     the entries
-- ARGV     per key: the token, which is the id of the placeholder or of the entry that was claimed; for how many
--          milliseconds a claimed entry is still kept at most: 0 removes it, -1 leaves it as it is
-- Result   per key: 1 when the key was removed, 0 when it shows another token, or an error
-- Atomic because what was stored there since must not be removed.
local results = {}
for i, key in ipairs(KEYS) do
  local token, left = ARGV[2 * i - 1], tonumber(ARGV[2 * i])
  local header = redis.pcall('GETRANGE', key, 0, ID_END - 1)
  if header == LEASE .. token or (left == 0 and header == ENTRY .. token) then
    results[i] = redis.call('UNLINK', key)
  elseif left > 0 and header == ENTRY .. token then
    results[i] = 0
    if redis.call('PTTL', key) > left then
      redis.call('PEXPIRE', key, left)
    end
  elseif is_refusal(header) then
    results[i] = header
  else
    results[i] = 0
  end
end
return results

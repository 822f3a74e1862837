-- commit: store what was loaded, unless it was invalidated meanwhile.
-- KEYS     the entries
-- ARGV     per key: the token of the load, which is the id of the placeholder or of the entry that it
--          claimed; the entry to store; time to live, milliseconds
-- Result   per key: 1 when stored, 0 when refused, or an error
-- Atomic because an invalidation between the check and the store would be lost: a stale fill.
local results = {}
for i, key in ipairs(KEYS) do
  local token, entry, ttl = ARGV[3 * i - 2], ARGV[3 * i - 1], ARGV[3 * i]
  local header = redis.pcall('GETRANGE', key, 0, ID_END - 1)
  if header == LEASE .. token or header == ENTRY .. token then
    local stored = redis.pcall('SET', key, entry, 'PX', ttl)
    results[i] = stored.err and stored or 1
  elseif is_refusal(header) then
    results[i] = header
  else
    results[i] = 0
  end
end
return results

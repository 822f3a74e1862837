-- commit: store what was loaded, unless it was invalidated meanwhile.
-- KEYS     the entries
-- ARGV     for each of them: the token of the load, which is the id of the placeholder, or of the entry
--          that it claimed; the entry to store; time to live, milliseconds
-- Result   for each: 1 when stored, 0 when refused, or an error
-- Atomic because an invalidation between the check and the store would be lost: a stale fill.
local results = {}
for i, key in ipairs(KEYS) do
  local token, entry, ttl = ARGV[3 * i - 2], ARGV[3 * i - 1], ARGV[3 * i]
  local header = redis.pcall('GETRANGE', key, 0, 28)
  if header == 'lc1 lease id=' .. token or header == 'lc1 entry id=' .. token then
    local stored = redis.pcall('SET', key, entry, 'PX', ttl)
    results[i] = stored.err and stored or 1
  elseif type(header) == 'table' and not string.find(header.err, 'WRONGTYPE') then
    results[i] = header
  else
    results[i] = 0
  end
end
return results

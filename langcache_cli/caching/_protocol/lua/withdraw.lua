-- withdraw: take old entries from their readers, but not the right to replace them.
-- KEYS     the entries
-- ARGV     for each of them: a placeholder, whose id is replaced by that of the entry; lease, milliseconds
-- Result   for each: 1 when an old entry was withdrawn, 0 when there was none, or an error
-- Atomic because what is stored, or leased, after the caller's own lease was lost must stay.
local results = {}
for i, key in ipairs(KEYS) do
  local placeholder, lease = ARGV[2 * i - 1], ARGV[2 * i]
  local header = redis.pcall('GETRANGE', key, 0, 49)
  local id, leased
  if type(header) == 'string' then
    id, leased = string.match(header, '^lc1 entry id=(%x+) leased=(%d+)$')
  end
  if type(header) == 'table' and not string.find(header.err, 'WRONGTYPE') then
    results[i] = header
  elseif id and tonumber(leased) > 0 then
    local stored = redis.pcall('SET', key, 'lc1 lease id=' .. id .. string.sub(placeholder, 30), 'PX', lease)
    results[i] = stored.err and stored or 1
  else
    results[i] = 0 -- nothing, a placeholder, or an entry that was stored since
  end
end
return results

-- withdraw: stop serving old entries, and leave the right to replace them where it is.
-- KEYS     the entries
-- ARGV     per key: a placeholder, whose id is replaced by that of the entry; lease, milliseconds
-- Result   per key: 1 when an old entry was withdrawn, 0 when there was none, or an error
-- Atomic because what was stored or leased after the caller lost its own lease must stay.
local function withdraw(key, placeholder, lease)
  local header = redis.pcall('GETRANGE', key, 0, LEASED_END - 1)
  if is_refusal(header) then
    return header
  end
  local id, leased
  if type(header) == 'string' then
    id, leased = string.match(header, ENTRY_HEADER)
  end
  if id and tonumber(leased) > 0 then
    local stored = redis.pcall('SET', key, LEASE .. id .. string.sub(placeholder, ID_END + 1), 'PX', lease)
    return stored.err and stored or 1
  end
  return 0 -- no value, a placeholder, or an entry that was stored since
end
local results = {}
for i, key in ipairs(KEYS) do
  results[i] = withdraw(key, ARGV[2 * i - 1], ARGV[2 * i])
end
return results

-- renew: prolong leases while their loads run.
-- KEYS     the entries
-- ARGV     per key: the token, which is the id of the placeholder or of the entry that is served meanwhile;
--          lease, milliseconds from now
-- Result   per key: 1 when renewed, 0 when the key shows another token or is gone, or an error
-- Atomic because a lease that was lost must never be prolonged for its new holder.
local function renew(key, token, lease)
  local header = redis.pcall('GETRANGE', key, 0, ID_END - 1)
  if is_refusal(header) then
    return header
  end
  if header == LEASE .. token then
    return redis.call('PEXPIRE', key, lease)
  end
  if header == ENTRY .. token then
    redis.call('SETRANGE', key, ID_END, lease_field(server_ms() + lease))
    outlive(key, lease)
    return 1
  end
  return 0
end
local results = {}
for i, key in ipairs(KEYS) do
  results[i] = renew(key, ARGV[2 * i - 1], tonumber(ARGV[2 * i]))
end
return results

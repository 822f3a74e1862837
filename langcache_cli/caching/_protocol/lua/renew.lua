-- renew: keep leases alive while their loads run.
-- KEYS     the entries
-- ARGV     for each of them: the token, which is the id of the placeholder, or of the entry that is served
--          meanwhile; lease, milliseconds, counted from now
-- Result   for each: 1 when renewed, 0 when the lease is somebody else's or gone, or an error
-- Atomic because a lease that was lost must never be prolonged for its new holder.
local function renew(key, token, lease)
  local header = redis.pcall('GETRANGE', key, 0, 28)
  if type(header) == 'table' and not string.find(header.err, 'WRONGTYPE') then
    return header
  end
  if header == 'lc1 lease id=' .. token then
    return redis.call('PEXPIRE', key, lease)
  end
  if header == 'lc1 entry id=' .. token then
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    redis.call('SETRANGE', key, 37, string.format('%013.0f', now + lease))
    if redis.call('PTTL', key) < lease then
      redis.call('PEXPIRE', key, lease) -- readers do not serve it past its end; they see that one loads
    end
    return 1
  end
  return 0
end
local results = {}
for i, key in ipairs(KEYS) do
  results[i] = renew(key, ARGV[2 * i - 1], tonumber(ARGV[2 * i]))
end
return results

-- acquire: take the right to load entries that are absent or unusable.
-- KEYS     the entries
-- ARGV     per key: placeholder to store; lease, milliseconds; beginning of a stored value that the caller
--          found unusable, or ''; index of the last byte of the stored value that the caller wants
-- Result   per key: nil when the lease was taken, the bytes that are there, or an error
-- Atomic because two callers that both found nothing must not both hold the lease.
local function acquire(key, placeholder, lease, rejected, last)
  local stored = redis.pcall('SET', key, placeholder, 'PX', lease, 'NX')
  if stored then
    return stored.err and stored or false
  end
  local current = redis.pcall('GETRANGE', key, 0, last)
  if is_refusal(current) then
    return current
  end
  -- a key of another type makes GETRANGE fail; it is replaced
  if type(current) == 'string' and #current > 0 then
    if rejected == '' or string.sub(current, 1, #rejected) ~= rejected then
      return current
    end
  end
  stored = redis.pcall('SET', key, placeholder, 'PX', lease)
  return stored.err and stored or false
end
local results = {}
for i, key in ipairs(KEYS) do
  results[i] = acquire(key, ARGV[4 * i - 3], ARGV[4 * i - 2], ARGV[4 * i - 1], ARGV[4 * i])
end
return results

-- claim: take the right to replace entries, from any load that has it.
-- KEYS     the entries
-- ARGV     per key: placeholder to store when there is no entry to keep; lease, milliseconds; the token:
--          becomes the id of the entry that is there
-- Result   per key: 1 when the old entry goes on being served, 0 when the placeholder was stored, or an error
-- Atomic because every earlier load of a key must lose its right in the step in which the caller gains it:
-- its value may be older than what the caller is about to read.
local now -- for all keys: TIME is called once, and only if there is an entry
local function claim(key, placeholder, lease, token)
  local stored = redis.pcall('SET', key, placeholder, 'PX', lease, 'NX')
  if stored then
    return stored.err and stored or 0
  end
  local header = redis.pcall('GETRANGE', key, 0, LEASED_END - 1)
  if is_refusal(header) then
    return header
  end
  if type(header) == 'string' and string.find(header, ENTRY_HEADER) then
    now = now or server_ms()
    stored = redis.pcall('SETRANGE', key, ID_START, token .. lease_field(now + lease))
    if type(stored) == 'table' then
      return stored
    end
    outlive(key, tonumber(lease))
    return 1
  end
  stored = redis.pcall('SET', key, placeholder, 'PX', lease)
  return stored.err and stored or 0
end
local results = {}
for i, key in ipairs(KEYS) do
  results[i] = claim(key, ARGV[3 * i - 2], ARGV[3 * i - 1], ARGV[3 * i])
end
return results

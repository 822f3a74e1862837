-- claim: take the right to replace entries, whoever else is loading them.
-- KEYS     the entries
-- ARGV     for each of them: placeholder to store when there is no entry worth keeping; lease,
--          milliseconds; the token: becomes the id of the entry that is there
-- Result   for each: 1 when the old entry goes on being served meanwhile, 0 when the placeholder was
--          stored, or an error
-- Atomic because every earlier load of a key must lose its right in the same step in which the
-- caller gains it: its value may be older than what the caller is about to read.
local now -- of all keys: TIME is asked once, and only if there is an entry
local function lease_end(lease)
  if not now then
    local time = redis.call('TIME')
    now = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return string.format('%013.0f', now + lease)
end
local function claim(key, placeholder, lease, token)
  local stored = redis.pcall('SET', key, placeholder, 'PX', lease, 'NX')
  if stored then
    return stored.err and stored or 0
  end
  local header = redis.pcall('GETRANGE', key, 0, 49)
  if type(header) == 'table' and not string.find(header.err, 'WRONGTYPE') then
    return header
  end
  if type(header) == 'string' and string.find(header, '^lc1 entry id=%x+ leased=%d+$') then
    stored = redis.pcall('SETRANGE', key, 13, token .. ' leased=' .. lease_end(lease))
    if type(stored) == 'table' then
      return stored
    end
    if redis.call('PTTL', key) < tonumber(lease) then
      redis.call('PEXPIRE', key, lease) -- readers do not serve it past its end; they see that one loads
    end
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

-- tag: read the versions of tags; a tag without one gets a new one.
-- KEYS     the tags
-- ARGV     per key: the random version to give it; how long it must live at least, milliseconds: as long as
--          any entry that records it
-- Result   per key: its version, or an error
-- A tag gets twice that time, so that few calls have to prolong it: to a near cache a prolonged tag counts as
-- changed.
-- Atomic because two callers that both found none must not go on with different versions.
local function version_of(tag, version, ttl)
  local current = redis.pcall('GET', tag)
  if is_refusal(current) then
    return current
  end
  if type(current) == 'string' and #current == ID_END - ID_START and not string.find(current, '[^0-9a-f]') then
    if redis.call('PTTL', tag) < ttl then
      redis.call('PEXPIRE', tag, 2 * ttl)
    end
    return current
  end
  local stored = redis.pcall('SET', tag, version, 'PX', 2 * ttl)
  return stored.err and stored or version
end
local results = {}
for i, tag in ipairs(KEYS) do
  results[i] = version_of(tag, ARGV[2 * i - 1], tonumber(ARGV[2 * i]))
end
return results

-- tag: the versions of tags, which get one if they have none.
-- KEYS     the tags
-- ARGV     for each of them: the version to give it, random; how long it must live at least,
--          milliseconds: as long as any entry that records it
-- Result   for each: its version, or an error
-- It gets twice that time, so that few calls have to prolong it: whoever keeps entries in the memory of
-- their process hear of that as of a change, and drop them.
-- Atomic because two callers that both saw none must not go on with different versions.
local function version_of(tag, version, ttl)
  local current = redis.pcall('GET', tag)
  if type(current) == 'table' and not string.find(current.err, 'WRONGTYPE') then
    return current
  end
  if type(current) == 'string' and #current == 16 and not string.find(current, '[^0-9a-f]') then
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

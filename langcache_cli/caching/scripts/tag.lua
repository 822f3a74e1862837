-- tag: the version of a tag, which gets one if it has none.
-- KEYS[1]  the tag
-- ARGV[1]  the version to give it, random
-- ARGV[2]  how long it must live at least, milliseconds: as long as any entry that records it
-- Result   its version
-- It gets twice that, so that few calls have to prolong it: whoever keeps entries in the memory of their
-- process hear of that as of a change, and drop them.
-- Atomic because two callers that both saw none must not go on with different versions.
local version = redis.pcall('GET', KEYS[1])
if type(version) == 'table' and not string.find(version.err, 'WRONGTYPE') then
  return version
end
if type(version) == 'string' and #version == 16 and not string.find(version, '[^0-9a-f]') then
  if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then
    redis.call('PEXPIRE', KEYS[1], 2 * ARGV[2])
  end
  return version
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', 2 * ARGV[2])
return ARGV[1]

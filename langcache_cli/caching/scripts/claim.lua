-- claim: take the right to replace an entry, whoever else is loading it.
-- KEYS[1]  the entry
-- ARGV[1]  placeholder to store when there is no entry worth keeping
-- ARGV[2]  lease, milliseconds
-- ARGV[3]  the token: becomes the id of the entry that is there
-- Result   1 when the old entry goes on being served meanwhile, 0 when the placeholder was stored
-- Atomic because every earlier load of this key must lose its right in the same step in which the
-- caller gains it: its value may be older than what the caller is about to read.
local header = redis.pcall('GETRANGE', KEYS[1], 0, 12)
if type(header) == 'table' and not string.find(header.err, 'WRONGTYPE') then
  return header
end
if header == 'lc1 entry id=' and redis.call('PTTL', KEYS[1]) > tonumber(ARGV[2]) then
  redis.call('SETRANGE', KEYS[1], 13, ARGV[3])
  return 1
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 0

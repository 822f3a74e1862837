-- count: add what one process has counted in one minute to the counters of all processes, once.
-- KEYS     the process' latest delivery; the hashes of the minute, of five minutes and of the hour in which
--          it was counted; the hash of the minute in which it is delivered
-- ARGV     number of the delivery, and seconds to keep it; for each hash the seconds to keep it, 0 or less
--          for one that has ended; field of the last hash that names the minute of a late delivery, or '';
--          number of words that follow for the hash of the minute; these fields and amounts; then those of
--          the two longer hashes
-- Result   1 when they were added, 0 when they had been added before, 2 when they were added and no earlier
--          delivery of the process is known, or an error
-- Atomic because a delivery without a confirmation is repeated, and must be in all hashes or in none.
local delivery, kept_delivery = tonumber(ARGV[1]), ARGV[2]
local FIRST = 9
-- A hash that somebody has damaged is left as it is: it ends by itself.
local function refusal(reply)
  if type(reply) == 'table' and reply.err
    and not string.find(reply.err, 'WRONGTYPE') and not string.find(reply.err, 'not an integer') then
    return reply
  end
end
local function add(key, seconds, first, last)
  if tonumber(seconds) <= 0 then
    return nil
  end
  for place = first, last, 2 do
    local refused = refusal(redis.pcall('HINCRBY', key, ARGV[place], ARGV[place + 1]))
    if refused then
      return refused
    end
  end
  return refusal(redis.pcall('EXPIRE', key, seconds))
end
local latest = redis.pcall('GET', KEYS[1])
if type(latest) == 'string' and (tonumber(latest) or 0) >= delivery then
  return 0
end
local stored = redis.pcall('SET', KEYS[1], ARGV[1], 'EX', kept_delivery)
if stored.err then
  return stored
end
local middle = FIRST + tonumber(ARGV[8])
local refused = add(KEYS[2], ARGV[3], FIRST, middle - 1)
  or add(KEYS[3], ARGV[4], middle, #ARGV) or add(KEYS[4], ARGV[5], middle, #ARGV)
if ARGV[7] ~= '' and not refused then
  redis.pcall('HINCRBY', KEYS[5], ARGV[7], 1)
  redis.pcall('EXPIRE', KEYS[5], ARGV[6])
end
return refused or (type(latest) == 'string' and 1 or 2)

-- shared: stands before every step, behind the table of header fields (ENTRY, LEASE, ID_START, ...).
-- Matches the fixed part of an entry's header, up to LEASED_END.
local ENTRY_HEADER = '^' .. ENTRY .. '(%x+)' .. LEASED .. '(%d+)$'
local function server_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
-- An error that concerns the server: full, read-only, failing. A key of another type is merely not ours.
local function is_refusal(reply)
  return type(reply) == 'table' and not string.find(reply.err, 'WRONGTYPE')
end
local function lease_field(until_ms)
  return LEASED .. string.format(LEASED_FORMAT, until_ms)
end
-- Keep an entry for as long as its lease. Readers do not serve it past its end; they see that a load runs.
local function outlive(key, lease)
  if redis.call('PTTL', key) < lease then
    redis.call('PEXPIRE', key, lease)
  end
end

"""What has to happen at the server in one step, as scripts (https://valkey.io/topics/eval-intro/). Times are the server's own:
milliseconds of one clock, so hosts need not agree. Each may run twice: the second time does nothing.

An entry that is delivered stays in the group's list of pending entries with who has it and how often it was delivered. A verdict
counts only while both are still as they were: whoever is too late changes nothing, except that an ack always counts.

A clock that is set back would make what is pending or held young for as long: so the group notes what it said last, and where it says
less than that, whatever is pending counts as delivered now, and what is held is due so much earlier.
"""

from __future__ import annotations

from ..script import Script

_CLOCK = "local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"
_MINE = """
local mine = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1)[1]
if not mine or mine[2] ~= ARGV[2] or tostring(mine[4]) ~= ARGV[4] then return 0 end
"""

ONCE = Script(
    """
-- KEYS: stream, id. ARGV: the packed event, ms for which its id is known. It goes into the stream unless it did before.
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
redis.call('XADD', KEYS[1], '*', 'e', ARGV[1])
redis.call('SET', KEYS[2], '', 'PX', ARGV[2])
return 1
"""
)

ENQUEUE = Script(
    """
-- KEYS: stream, id, later, groups. ARGV: the packed job, ms for which its id is known (0: it is not), ms since 1970 when it is due (0:
-- now), group, base. The group is there from the first job on.
if ARGV[2] ~= '0' and redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
if redis.call('SADD', KEYS[4], ARGV[5]) == 1 or redis.call('EXISTS', KEYS[1]) == 0 then
  redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[4], '0', 'MKSTREAM')  -- it may be there
end
if ARGV[3] == '0' then redis.call('XADD', KEYS[1], '*', 'e', ARGV[1]) else redis.call('ZADD', KEYS[3], ARGV[3], ARGV[1]) end
if ARGV[2] ~= '0' then redis.call('SET', KEYS[2], '', 'PX', ARGV[2]) end
return 1
"""
)

AGAIN = Script(
    _CLOCK
    + """
-- KEYS: stream, held, stream, held, later, clock. ARGV: group, member, ack wait in ms, room.
local last = tonumber(redis.call('HGET', KEYS[6], 'ms') or now)
if now < last - 1000 then
  for at = 1, 3, 2 do
    for _, each in ipairs(redis.call('XPENDING', KEYS[at], ARGV[1], '-', '+', 100000)) do
      redis.call('XCLAIM', KEYS[at], ARGV[1], each[2], 0, each[1], 'JUSTID')
    end
    for _, id in ipairs(redis.call('ZRANGE', KEYS[at + 1], 0, -1)) do redis.call('ZINCRBY', KEYS[at + 1], now - last, id) end
  end
end
if now < last or now > last + 1000 or now == last then redis.call('HSET', KEYS[6], 'ms', now) end
-- Puts jobs that are due into the first stream. Takes what is due: held until now, or with somebody for longer than the ack wait and not held; then what was brought back.
for _, job in ipairs(redis.call('ZRANGE', KEYS[5], '-inf', now, 'BYSCORE', 'LIMIT', 0, 256)) do
  redis.call('XADD', KEYS[1], '*', 'e', job)
  redis.call('ZREM', KEYS[5], job)
end
local room, found = tonumber(ARGV[4]), {}
for at = 1, 3, 2 do
  local stream, held = KEYS[at], KEYS[at + 1]
  local due = redis.call('ZRANGE', held, '-inf', now, 'BYSCORE', 'LIMIT', 0, room)
  for _, id in ipairs(due) do redis.call('ZREM', held, id) end
  if #due < room then
    local late = redis.call('XPENDING', stream, ARGV[1], 'IDLE', ARGV[3], '-', '+', room + redis.call('ZCARD', held))
    for _, each in ipairs(late) do
      if #due < room and not redis.call('ZSCORE', held, each[1]) then due[#due + 1] = each[1] end
    end
  end
  for _, id in ipairs(due) do
    local entry = redis.call('XCLAIM', stream, ARGV[1], ARGV[2], 0, id)[1]
    if entry then
      local count = redis.call('XPENDING', stream, ARGV[1], id, id, 1)[1][4]
      found[#found + 1] = {(at - 1) / 2, id, count, entry[2]}
      room = room - 1
    end
  end
end
if room > 0 then  -- what was brought back for this group comes with these
  local back = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', room, 'STREAMS', KEYS[3], '>')
  if back then
    for _, entry in ipairs(back[1][2]) do found[#found + 1] = {1, entry[1], 1, entry[2]} end
  end
end
return found
"""
)

HOLD = Script(
    _CLOCK
    + _MINE
    + """
-- KEYS: stream, held. ARGV: group, member, id, count, ms. Not before so many ms it comes again.
redis.call('ZADD', KEYS[2], now + ARGV[5], ARGV[3])
return 1
"""
)

BURY = Script(
    _MINE
    + """
-- KEYS: stream, held, dead, order, number, index. ARGV: group, member, id, count, cause, base. It becomes a dead letter.
local entry = redis.call('XRANGE', KEYS[1], ARGV[3], ARGV[3])[1]
if entry then
  local field = KEYS[1] .. '|' .. ARGV[3]
  redis.call('HSET', KEYS[3], field, string.format('%d %d ', ARGV[4], #ARGV[5]) .. ARGV[5] .. entry[2][2])
  redis.call('ZADD', KEYS[4], redis.call('INCR', KEYS[5]), field)
  redis.call('SADD', KEYS[6], ARGV[6])
end
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
redis.call('ZREM', KEYS[2], ARGV[3])
return 1
"""
)

ACKED = Script(
    """
-- KEYS: stream, held, dead, order. ARGV: group, 1 to delete the entries too, ids. All that is known of them ends.
for at = 3, #ARGV do
  local field = KEYS[1] .. '|' .. ARGV[at]
  redis.call('XACK', KEYS[1], ARGV[1], ARGV[at])
  redis.call('ZREM', KEYS[2], ARGV[at])
  redis.call('HDEL', KEYS[3], field)
  redis.call('ZREM', KEYS[4], field)
  if ARGV[2] == '1' then redis.call('XDEL', KEYS[1], ARGV[at]) end
end
return 1
"""
)

DISCARD = Script(
    """
-- KEYS: dead, order, stream to put it into again. ARGV: field, the packed event or '' to forget it.
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
if ARGV[2] ~= '' then redis.call('XADD', KEYS[3], '*', 'e', ARGV[2]) end
return 1
"""
)

LAG = Script(
    _CLOCK
    + """
-- KEYS: stream, held, again, again held, order, later. ARGV: group, ms within which a member that is there asks, and one that has
-- something says what became of it.
-- members, waiting (-1: unknown), in flight, ms since the oldest of both, dead letters; nothing: there is no such group.
local function fields(told)
  local found = {}
  for at = 1, #told, 2 do found[told[at]] = told[at + 1] end
  return found
end
local there, members, waiting, out, oldest = false, 0, 0, 0, now
local function older(id) oldest = math.min(oldest, tonumber(string.match(id, '%d+'))) end
for at = 1, 3, 2 do
  local stream = KEYS[at]
  for _, told in ipairs(redis.call('EXISTS', stream) == 1 and redis.call('XINFO', 'GROUPS', stream) or {}) do
    local group = fields(told)
    if group['name'] == ARGV[1] then
      local pending, held = group['pending'], math.min(group['pending'], redis.call('ZCARD', KEYS[at + 1]))
      local lag = group['lag']
      if at == 3 then lag = redis.call('XLEN', stream) - pending end  -- there what is done with is deleted
      if not lag or waiting < 0 then waiting = -1 else waiting = waiting + lag + held end
      out = out + pending - held
      if pending > 0 then older(redis.call('XPENDING', stream, ARGV[1], '-', '+', 1)[1][1]) end
      local following = redis.call('XRANGE', stream, '(' .. group['last-delivered-id'], '+', 'COUNT', 1)[1]
      if following then older(following[1]) end
      if at == 1 then
        there = true
        for _, each in ipairs(redis.call('XINFO', 'CONSUMERS', stream, ARGV[1])) do
          local about = fields(each)
          local within = tonumber(about['pending'] > 0 and ARGV[3] or ARGV[2])
          if about['idle'] < within then members = members + 1 end
        end
      end
    end
  end
end
if not there then return false end
if waiting >= 0 then waiting = waiting + redis.call('ZCARD', KEYS[6]) end
return {members, waiting, out, now - oldest, redis.call('ZCARD', KEYS[5])}
"""
)

TRIM = Script(
    _CLOCK
    + """
-- KEYS: stream. ARGV: ms to keep what nobody waits for any more, ms after which members that have nothing are forgotten.
-- Nothing that a group has not acked goes.
local function parts(id) local ms, seq = string.match(id, '(%d+)-(%d+)') return tonumber(ms), tonumber(seq) end
local ms, seq = now - ARGV[1], 0
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local told = {}
  for at = 1, #group, 2 do told[group[at]] = group[at + 1] end
  local first = told['last-delivered-id']
  if told['pending'] > 0 then
    first = redis.call('XPENDING', KEYS[1], told['name'], '-', '+', 1)[1][1]
  end
  for _, member in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], told['name'])) do
    local about = {}
    for at = 1, #member, 2 do about[member[at]] = member[at + 1] end
    if about['pending'] == 0 and about['idle'] > tonumber(ARGV[2]) then
      redis.call('XGROUP', 'DELCONSUMER', KEYS[1], told['name'], about['name'])
    end
  end
  local m, s = parts(first)
  if m < ms or (m == ms and s < seq) then ms, seq = m, s end
end
return redis.call('XTRIM', KEYS[1], 'MINID', string.format('%.0f-%.0f', ms, seq))
"""
)
END = Script(
    """
-- KEYS: stream, held, stream of what was brought back, held of that, dead, order, number, later, clock, index of dead letters, index of
-- groups.
-- ARGV: group, base. It never was.
redis.call('XGROUP', 'DESTROY', KEYS[1], ARGV[1])
for at = 2, 9 do redis.call('DEL', KEYS[at]) end
redis.call('SREM', KEYS[10], ARGV[2])
redis.call('SREM', KEYS[11], ARGV[2])
return 1
"""
)
EVERY = (ENQUEUE, ONCE, AGAIN, HOLD, BURY, ACKED, DISCARD, LAG, TRIM, END)

"""What changes the registry, each in one step at the server (https://valkey.io/topics/eval-intro/). None looks at the server's
clock: what follows a wall clock would evict nodes when that is set. Each may run twice: the second time changes nothing that
counts.

The first four arguments of each: the channel of changes, the epoch to begin with where there is none, a tag that the writer drew, and
the beginning of the names of links. An epoch is a text here, for Lua's numbers end at 2^53.
"""

from __future__ import annotations

from ..script import Script

REMEMBERED = 1000
"""Revisions for which it is known what changed since; who comes from further back is told everything."""
KEPT_S = 86_400
"""A mesh nobody is in any more is forgotten after a day. Leases don't depend on it, and no clock is set that far."""
NODES = 10_000
"""Nodes that one registry takes."""

_COMMON = f"""
local S, N, R, B, C, G, T, L, D = unpack(KEYS)
local function keep() for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, {KEPT_S}) end end
local function tell(revision) redis.call('PUBLISH', ARGV[1], revision) end
local function epoch()
  local found = redis.call('HGET', S, 'epoch')
  if found then return found end
  for at = 2, #KEYS do redis.call('DEL', KEYS[at]) end
  redis.call('HSET', S, 'epoch', ARGV[2], 'revision', 0, 'tag', ARGV[3], 'counter', 0, 'beat', 0, 'removed', 0, 'looks', 0)
  redis.call('HSET', T, 0, ARGV[3])
  keep()
  tell(0)
  return ARGV[2]
end
local function note(id, is_there)
  local revision = redis.call('HINCRBY', S, 'revision', 1)
  redis.call('HSET', S, 'tag', ARGV[3])
  redis.call('HSET', T, revision, ARGV[3])
  redis.call('HDEL', T, revision - {REMEMBERED})
  redis.call('ZREMRANGEBYSCORE', G, '-inf', revision - {REMEMBERED})
  if is_there then
    redis.call('ZADD', C, revision, id)
    redis.call('ZREM', G, id)
  else
    redis.call('ZREM', C, id)
    redis.call('ZADD', G, revision, id)
    redis.call('ZREM', B, id)
    for _, key in ipairs({{N, R, L, D}}) do redis.call('HDEL', key, id) end
  end
  return revision
end
local function run() return string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') end
local function beat(id) redis.call('ZADD', B, redis.call('HINCRBY', S, 'beat', 1), id) end
"""

_FENCE = """
-- ARGV 5..8: node, epoch, counter, life. Whose life is over changes nothing.
local id = ARGV[5]
if redis.call('HGET', S, 'epoch') ~= ARGV[6] then return {'anew'} end
local life = redis.call('HGET', N, id)
if not life then return {'unknown'} end
if life ~= ARGV[7] .. ' ' .. ARGV[8] then
  return {string.match(life, ' (.*)') == ARGV[8] and 'newer' or 'taken'}
end
"""

ANNOUNCE = Script(
    _COMMON
    + f"""
-- ARGV 5..8: node, life, record, ms between its beats. 9: the highest counter that the writer knows of: a server that died before
-- its last writes were on disk gives none of them again. -> epoch, revision, counter, ms between beats that the mesh wants.
local id, now = ARGV[5], epoch()
if redis.call('HEXISTS', N, id) == 0 and redis.call('HLEN', N) >= {NODES} then return {{'full'}} end
local counter = redis.call('HINCRBY', S, 'counter', 1)
if counter <= tonumber(ARGV[9]) then
  counter = tonumber(ARGV[9]) + 1
  redis.call('HSET', S, 'counter', counter)
end
redis.call('HSET', N, id, counter .. ' ' .. ARGV[6])
redis.call('HSET', R, id, ARGV[7])
redis.call('HDEL', L, id)
redis.call('HDEL', D, id)
beat(id)
local pace = redis.call('HGET', S, 'pace')
if not pace or tonumber(ARGV[8]) < tonumber(pace) then
  pace = ARGV[8]
  redis.call('HSET', S, 'pace', pace)
end
keep()
local revision = note(id, true)
tell(revision)
return {{now, revision, counter, tonumber(pace)}}
"""
)

BEAT = Script(
    _COMMON
    + _FENCE
    + """
-- ARGV 9: the record where it changed, else ''; 10: '1' where the node knows that the server has subscribed it.
-- -> '', revision, ms between beats.
beat(id)
if ARGV[10] == '1' then redis.call('HSET', L, id, life .. ' ' .. run()) end
local news = redis.call('HDEL', D, id) == 1
if ARGV[9] ~= '' and redis.call('HGET', R, id) ~= ARGV[9] then
  redis.call('HSET', R, id, ARGV[9])
  news = true
end
if news then tell(note(id, true)) end
local told = redis.call('HMGET', S, 'revision', 'pace')
return {'', tonumber(told[1]), tonumber(told[2])}
"""
)

WITHDRAW = Script(
    _COMMON
    + _FENCE
    + """
tell(note(id, false))
return {''}
"""
)

LOOK = Script(
    _COMMON
    + """
-- ARGV 5..7: epoch, revision and tag that the reader knows. 8: the count of beats before which a node is silent, or ''. 9: the
-- number of the last look at connections that the reader wants another one after, or ''.
-- -> epoch, revision, tag, beats, removals for silence, looks, is it everything?, nodes, gone, silent. Nodes are one text, of four
-- fields each as LENGTH:BYTES: whoever reads thousands of replies within one takes long for it.
local now = epoch()

local function linked(from, ids, lives)
  local channels = {}
  for at, id in ipairs(ids) do channels[at] = ARGV[4] .. id .. ':' .. string.match(lives[at], '%d+') end
  local told = redis.call('PUBSUB', 'NUMSUB', unpack(channels))
  local seen, news = redis.call('HMGET', L, unpack(ids)), nil
  for at, id in ipairs(ids) do
    local mark = lives[at] .. ' ' .. from
    if told[2 * at] > 0 then
      if seen[at] ~= mark then redis.call('HSET', L, id, mark) end
    elseif seen[at] == mark then  -- its connection was here in this run of the server, and ended
      redis.call('HDEL', L, id)
      redis.call('HSET', D, id, 1)
      news = note(id, true)
    end
  end
  return news
end

if ARGV[9] ~= '' and redis.call('HGET', S, 'looks') == ARGV[9] then
  if redis.call('HINCRBY', S, 'looks', 1) % 64 == 0 then keep() end
  local now_runs = run()
  local all, ids, lives, news = redis.call('HGETALL', N), {}, {}, nil
  for at = 1, #all, 2 do
    ids[#ids + 1], lives[#lives + 1] = all[at], all[at + 1]
    if #ids == 500 or at + 1 == #all then
      news = linked(now_runs, ids, lives) or news
      ids, lives = {}, {}
    end
  end
  if news then tell(news) end
end

local state = redis.call('HMGET', S, 'revision', 'tag', 'beat', 'removed', 'looks')
local silent = {}
if ARGV[8] ~= '' then silent = redis.call('ZRANGEBYSCORE', B, '-inf', ARGV[8], 'WITHSCORES') end
local nodes, gone, whole = {}, {}, 0
local ids
if now ~= ARGV[5] or redis.call('HGET', T, ARGV[6]) ~= ARGV[7] then
  whole, ids = 1, redis.call('HKEYS', N)
elseif state[1] == ARGV[6] then
  ids = {}
else
  ids = redis.call('ZRANGEBYSCORE', C, '(' .. ARGV[6], '+inf')
  gone = redis.call('ZRANGEBYSCORE', G, '(' .. ARGV[6], '+inf')
end
for _, id in ipairs(ids) do
  for _, field in ipairs({id, redis.call('HGET', N, id), redis.call('HGET', R, id), redis.call('HEXISTS', D, id)}) do
    nodes[#nodes + 1] = #tostring(field or '') .. ':' .. tostring(field or '')
  end
end
nodes = table.concat(nodes)
return {now, tonumber(state[1]), state[2], tonumber(state[3]), tonumber(state[4]), state[5], whole, nodes, gone, silent}
"""
)

REMOVE = Script(
    _COMMON
    + """
-- ARGV 5, 6: epoch, and how many were removed for silence as far as the reader knows; then of each: node, counter, and the count of
-- beats at its last, or '' where its connection was lost. Only who is still as the reader saw it goes, and two readers don't
-- remove for silence out of the same knowledge.
if redis.call('HGET', S, 'epoch') ~= ARGV[5] then return 0 end
local known, revision = redis.call('HGET', S, 'removed') == ARGV[6], nil
for at = 7, #ARGV, 3 do
  local id, last = ARGV[at], ARGV[at + 2]
  local life = redis.call('HGET', N, id)
  if life and string.match(life, '%d+') == ARGV[at + 1] then
    local score = redis.call('ZSCORE', B, id)
    local lost = last == '' and redis.call('HEXISTS', D, id) == 1
    if lost or (last ~= '' and known and score and tonumber(score) == tonumber(last)) then
      if not lost then redis.call('HINCRBY', S, 'removed', 1) end
      revision = note(id, false)
    end
  end
end
if revision then tell(revision) end
return 1
"""
)


def _sharded(script: Script) -> Script:
    """The same for a node of a Cluster, where a channel is as a key: at one node."""
    return Script(script.text.replace("'PUBLISH'", "'SPUBLISH'").replace("'NUMSUB'", "'SHARDNUMSUB'"))


SHARDED = {each: _sharded(each) for each in (ANNOUNCE, BEAT, WITHDRAW, LOOK, REMOVE)}

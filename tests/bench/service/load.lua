-- wrk's script: sends prepared requests and gives what it measured as one line of JSON.
--   wrk … URL -- METHOD PATHS TOKENS BODIES THINK_MS
-- PATHS, TOKENS, BODIES: files with one entry a line, each taken in turn ("-": none). THINK_MS: how long a connection
-- rests between two requests, on average; rests are drawn at random, so connections do not march in step.

local method, paths, tokens, bodies, think_ms
local host, turn = nil, 0

local function lines_of(name)
  if name == "-" then return nil end
  local found = {}
  for line in io.lines(name) do found[#found + 1] = line end
  return found
end

local function rest()
  return math.floor(-math.log(1 - math.random()) * think_ms + math.random())
end

function init(args)
  method, paths, tokens, bodies = args[1], lines_of(args[2]), lines_of(args[3]), lines_of(args[4])
  think_ms = tonumber(args[5])
  host = wrk.host
  -- To walk through all that was prepared takes Lua some 15 ms, which would count as the service's.
  collectgarbage("collect")
  collectgarbage("setpause", 1000)
  -- A global of this name is what wrk looks for, once, after this function.
  if think_ms > 0 then delay = rest end
end

function request()
  local parts = {method, " ", paths[turn % #paths + 1], " HTTP/1.1\r\nHost: ", host, "\r\n"}
  if tokens then
    parts[#parts + 1] = "Authorization: Bearer "
    parts[#parts + 1] = tokens[turn % #tokens + 1]
    parts[#parts + 1] = "\r\n"
  end
  if bodies then
    local body = bodies[turn % #bodies + 1]
    parts[#parts + 1] = "Content-Type: application/json\r\nContent-Length: "
    parts[#parts + 1] = #body
    parts[#parts + 1] = "\r\n\r\n"
    parts[#parts + 1] = body
  else
    parts[#parts + 1] = "\r\n"
  end
  turn = turn + 1
  return table.concat(parts)
end

function done(summary, latency)
  local counts, errors = {}, {}
  for place = 1, #latency do counts[place] = string.format("[%d,%d]", latency(place)) end
  for name, count in pairs(summary.errors) do errors[#errors + 1] = string.format('"%s":%d', name, count) end
  io.write(string.format(
    '{"requests":%d,"duration_us":%d,"errors":{%s},"latency_us":[%s]}\n',
    summary.requests, summary.duration, table.concat(errors, ","), table.concat(counts, ",")
  ))
end

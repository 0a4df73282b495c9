-- Script of wrk: load.lua METHOD BODY CONTENT_TYPE [STATUS [ANSWER_LENGTH]]
-- An empty BODY or CONTENT_TYPE is none.
--
-- With STATUS every answer is examined. Without it neither request() nor
-- response() is defined, so wrk sends one prepared request again and again
-- and never enters Lua per request: that is the way to measure.

local threads = {}

function setup(thread)
   table.insert(threads, thread)
end

function init(args)
   wrk.method = args[1]
   if #args[2] > 0 then
      wrk.body = args[2]
   end
   if #args[3] > 0 then
      wrk.headers["Content-Type"] = args[3]
   end
   examined, wrong = 0, 0
   local expected_status, expected_length = tonumber(args[4]), tonumber(args[5])
   if expected_status then
      function response(status, headers, body)
         examined = examined + 1
         if status ~= expected_status or (expected_length and #body ~= expected_length) then
            wrong = wrong + 1
         end
      end
   end
end

-- One line for the harness: wrk's own summary rounds and changes its units.
-- wrk counts an answer above 399 as a status error; latencies are microseconds.
function done(summary, latency, requests)
   local e = summary.errors
   local examined, wrong = 0, 0
   for _, thread in ipairs(threads) do
      examined = examined + thread:get("examined")
      wrong = wrong + thread:get("wrong")
   end
   io.write(string.format(
      '\nBENCH {"requests":%d,"microseconds":%d,"bytes":%d,"connect":%d,"read":%d,"write":%d,'
         .. '"timeout":%d,"status":%d,"examined":%d,"wrong":%d,"p50":%d,"p99":%d}\n',
      summary.requests, summary.duration, summary.bytes, e.connect, e.read, e.write,
      e.timeout, e.status, examined, wrong, latency:percentile(50), latency:percentile(99)))
end

-- The host's clock, before anything else takes its place.
local need, host = ...

return { now = host.clock.now, monotonic = host.clock.monotonic, sleep = host.clock.sleep }

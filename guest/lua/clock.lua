-- The host's clock, before anything else takes its place.
local need, host = ...

return { monotonic = host.clock.monotonic, sleep = host.clock.sleep }

-- Two values.
times = (times or 0) + 1
return "pair", times

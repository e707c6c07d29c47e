-- What a task may leave undone, to be done at its end: `close` writes the files it left open.
return { close = nil }

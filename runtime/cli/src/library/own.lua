-- What workflow files can use and no file of the library describes: what Lua itself brings, and what the
-- host sets. Comments as in the library; only they are read.

--- os.time([table]) gives seconds since 1970: now, or the moment that { year, month, day, hour, min, sec } names.
os.time = nil

--- os.date([format[, time]]) gives a moment as text, or with the format "*t" as a table.
os.date = nil

--- os.difftime(later, earlier) gives the seconds between two moments.
os.difftime = nil

--- debug.traceback([message[, level]]) gives the calls that led here, as text.
debug.traceback = nil

--- debug.getinfo(function[, what]) gives what Lua knows of a function, or of a level of the stack.
debug.getinfo = nil

--- unpack(list[, first[, last]]) is how Lua 5.1 spelled table.unpack.
unpack = nil

--- values holds what the operator gave with --values and --var; also `Values`. A value that is missing is nil.
values = nil

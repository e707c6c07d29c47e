-- The one row: which journal this is, and the last number that it has given to a delivery.
CREATE TABLE journal (
    id TEXT NOT NULL,
    given INTEGER NOT NULL
) STRICT;

-- Calls that were begun. Without an end, the agent was in the middle of it.
CREATE TABLE call (
    run TEXT NOT NULL,
    number INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    -- As it is delivered.
    ended BLOB,
    -- Milliseconds since 1970.
    changed INTEGER NOT NULL,
    PRIMARY KEY (run, number)
) STRICT, WITHOUT ROWID;

-- What is not yet known to be kept by the master, in the order in which it happened.
CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Given when it is about to be sent, so that what is dropped before leaves no gap.
    number INTEGER UNIQUE,
    run TEXT NOT NULL,
    -- The call that it ends, if it ends one.
    call INTEGER,
    fence INTEGER,
    -- Lines of output in it; 0 where it must not be dropped.
    lines INTEGER NOT NULL,
    -- Whether it stands for lines that were dropped.
    lost INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;

CREATE INDEX outbox_waiting ON outbox (seq) WHERE number IS NULL;

-- Moments are milliseconds since 1970. Counts of outcomes are one text of eight numbers, since nothing asks for one
-- of them alone.

-- One for each submission. `sequence` is the order in which they came, by which they are listed, and half of the
-- key of their events.
CREATE TABLE run (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    submitter TEXT NOT NULL,
    idempotency_key TEXT,
    stack TEXT NOT NULL,
    workflow TEXT NOT NULL,
    bundle TEXT NOT NULL,
    checking INTEGER NOT NULL,
    state TEXT NOT NULL,
    cancelling INTEGER NOT NULL DEFAULT 0,
    submitted INTEGER NOT NULL,
    finished INTEGER,
    outcome TEXT,
    counts TEXT,
    -- The number of its last event.
    events INTEGER NOT NULL DEFAULT 0,
    -- The number of its last call.
    calls INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX run_by_key ON run (submitter, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX run_by_stack ON run (stack, sequence);
CREATE INDEX run_by_state ON run (state, sequence);
CREATE INDEX run_by_end ON run (finished) WHERE finished IS NOT NULL;

-- What only the scheduler, or whoever looks at the one run, asks for.
CREATE TABLE run_detail (
    run INTEGER PRIMARY KEY REFERENCES run (sequence),
    content TEXT,
    plan BLOB NOT NULL,
    request BLOB NOT NULL,
    outputs BLOB
) STRICT;

-- The targets of a run, each of which gets the whole workflow.
CREATE TABLE pipeline (
    run INTEGER NOT NULL REFERENCES run (sequence),
    target TEXT NOT NULL,
    position INTEGER NOT NULL,
    outcome TEXT,
    counts TEXT,
    outputs BLOB,
    PRIMARY KEY (run, target)
) STRICT, WITHOUT ROWID;
CREATE INDEX pipeline_by_target ON pipeline (target, run);

-- `id` is the run's sequence times 2^32 and the event's number: events of a run stand beside each other in order.
CREATE TABLE event (
    id INTEGER PRIMARY KEY,
    body BLOB NOT NULL
) STRICT;

-- Keys of events that must not come twice.
CREATE TABLE event_key (
    run INTEGER NOT NULL,
    key TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (run, key)
) STRICT, WITHOUT ROWID;

-- How far each task is on each target, as its events tell.
CREATE TABLE step (
    run INTEGER NOT NULL,
    target TEXT NOT NULL,
    task TEXT NOT NULL,
    -- The event that told of it first.
    first INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    running INTEGER NOT NULL,
    outcome TEXT,
    message TEXT NOT NULL,
    PRIMARY KEY (run, target, task)
) STRICT, WITHOUT ROWID;

CREATE TABLE call (
    run INTEGER NOT NULL REFERENCES run (sequence),
    number INTEGER NOT NULL,
    key TEXT NOT NULL,
    agent TEXT NOT NULL,
    fence INTEGER NOT NULL DEFAULT 0,
    ended INTEGER NOT NULL DEFAULT 0,
    interrupted INTEGER NOT NULL DEFAULT 0,
    finished BLOB,
    PRIMARY KEY (run, number)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX call_by_key ON call (run, key);
CREATE INDEX call_by_agent ON call (agent, run);
CREATE INDEX call_open ON call (agent) WHERE ended = 0;

-- Up to where each journal of an agent is kept.
CREATE TABLE journal (
    agent TEXT NOT NULL,
    journal TEXT NOT NULL,
    kept INTEGER NOT NULL,
    PRIMARY KEY (agent, journal)
) STRICT, WITHOUT ROWID;

CREATE TABLE agent (
    name TEXT PRIMARY KEY,
    version TEXT NOT NULL,
    labels TEXT NOT NULL,
    facts BLOB NOT NULL,
    policy TEXT NOT NULL,
    address TEXT NOT NULL,
    seen INTEGER NOT NULL,
    drained INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE token (
    id TEXT PRIMARY KEY,
    -- SHA-256 of the secret, which is kept nowhere.
    hash BLOB NOT NULL UNIQUE,
    role TEXT NOT NULL,
    made INTEGER NOT NULL,
    made_by TEXT NOT NULL,
    expires INTEGER NOT NULL,
    uses_left INTEGER NOT NULL,
    labels TEXT NOT NULL,
    scope TEXT NOT NULL,
    -- Whether it is sent with each call, instead of being spent.
    is_key INTEGER NOT NULL,
    revoked INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE certificate (
    serial TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    scope TEXT NOT NULL,
    issued INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    revoked INTEGER
) STRICT;
CREATE INDEX certificate_by_name ON certificate (name);

-- Files beside the database, by the digits of their SHA-256.
CREATE TABLE content (
    digest TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    kept INTEGER NOT NULL
) STRICT;
CREATE TABLE content_use (
    digest TEXT NOT NULL REFERENCES content (digest),
    run INTEGER NOT NULL REFERENCES run (sequence),
    PRIMARY KEY (digest, run)
) STRICT, WITHOUT ROWID;
CREATE INDEX content_use_by_run ON content_use (run);

CREATE TABLE lock (
    name TEXT PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run (sequence),
    until INTEGER NOT NULL
) STRICT;
CREATE INDEX lock_by_run ON lock (run);
CREATE TABLE lock_waiting (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    run INTEGER NOT NULL REFERENCES run (sequence),
    UNIQUE (name, run)
) STRICT;
CREATE INDEX lock_waiting_by_run ON lock_waiting (run);

-- Runs that are removed, and whose events still go, some at a time.
CREATE TABLE leaving (
    run INTEGER PRIMARY KEY
) STRICT;

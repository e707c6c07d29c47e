-- Every agent on which a run has steps, by which scopes see it. Runs of before have none, and are seen by those alone who
-- submitted them or have no scope.
CREATE TABLE run_target (
    run INTEGER NOT NULL REFERENCES run (sequence),
    target TEXT NOT NULL,
    PRIMARY KEY (run, target)
) STRICT, WITHOUT ROWID;

-- When something came of a journal last.
ALTER TABLE journal ADD COLUMN told INTEGER NOT NULL DEFAULT 0;
UPDATE journal SET told = unixepoch() * 1000;

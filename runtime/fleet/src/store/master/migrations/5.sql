-- Where the audit of an agent ended, as it told with the ends of its steps.
CREATE TABLE audit_head (
    agent TEXT NOT NULL REFERENCES agent (name) ON DELETE CASCADE,
    sequence INTEGER NOT NULL,
    number INTEGER NOT NULL,
    hash BLOB NOT NULL,
    told INTEGER NOT NULL,
    PRIMARY KEY (agent, sequence)
) STRICT, WITHOUT ROWID;

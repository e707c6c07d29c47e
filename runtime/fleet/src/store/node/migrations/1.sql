-- Values under keys. `expires` is milliseconds since 1970; null lives for ever.
CREATE TABLE state (
    key TEXT PRIMARY KEY,
    value BLOB NOT NULL,
    expires INTEGER
) STRICT;
CREATE INDEX state_by_expiry ON state (expires) WHERE expires IS NOT NULL;

-- How much that is, counted as it changes: adding it up would read every row at every write.
CREATE TABLE state_size (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    keys INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT;
INSERT INTO state_size VALUES (1, 0, 0);
CREATE TRIGGER state_inserted AFTER INSERT ON state BEGIN
    UPDATE state_size SET keys = keys + 1, bytes = bytes + length(CAST(new.key AS BLOB)) + length(new.value);
END;
CREATE TRIGGER state_updated AFTER UPDATE ON state BEGIN
    UPDATE state_size SET bytes = bytes + length(new.value) - length(old.value);
END;
CREATE TRIGGER state_deleted AFTER DELETE ON state BEGIN
    UPDATE state_size SET keys = keys - 1, bytes = bytes - length(CAST(old.key AS BLOB)) - length(old.value);
END;

-- What the runs of a stack left. `changed` is milliseconds since 1970.
CREATE TABLE stack_output (
    stack TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    changed INTEGER NOT NULL,
    PRIMARY KEY (stack, key)
) STRICT;

-- Who sent a content: only they may name it in what they submit.
CREATE TABLE content_sender (
    digest TEXT NOT NULL REFERENCES content (digest) ON DELETE CASCADE,
    sender TEXT NOT NULL,
    PRIMARY KEY (digest, sender)
) STRICT, WITHOUT ROWID;

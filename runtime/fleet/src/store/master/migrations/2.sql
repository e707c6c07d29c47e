-- The journal that the agent had when a call was last given out to it. With another journal, nobody knows what became
-- of the call.
ALTER TABLE call ADD COLUMN journal TEXT NOT NULL DEFAULT '';

-- Labels that an agent has by the token that it joined with. They are the master's word; those that it says itself are
-- its own.
CREATE TABLE given_label (
    agent TEXT PRIMARY KEY,
    labels TEXT NOT NULL
) STRICT;

-- The journal that the agent had when a call was last given out to it. With another journal, nobody knows what became
-- of the call.
ALTER TABLE call ADD COLUMN journal TEXT NOT NULL DEFAULT '';

-- When a run began, which its workflow's time counts from, and how many of its calls have ended.
ALTER TABLE run ADD COLUMN begun INTEGER;
ALTER TABLE run ADD COLUMN ends INTEGER NOT NULL DEFAULT 0;

-- When a call ended, and as the how manieth of its run. None where another run answered it.
ALTER TABLE call ADD COLUMN ended_at INTEGER;
ALTER TABLE call ADD COLUMN rank INTEGER;

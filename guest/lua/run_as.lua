-- Whom the programs of the present task run as, and what is added to their environment: what the task's own
-- `user` and `env` say.
return { user = nil, env = nil }

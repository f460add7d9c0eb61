-- Tasks that are over are listed by how they ended; those that are not are few (task_due).
CREATE INDEX task_over ON task (status, id) WHERE status IN ('settled', 'failed', 'cancelled', 'expired');

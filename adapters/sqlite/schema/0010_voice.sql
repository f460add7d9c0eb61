-- Conversations whose answers are spoken too.
ALTER TABLE conversation ADD COLUMN voice INTEGER NOT NULL DEFAULT 0;

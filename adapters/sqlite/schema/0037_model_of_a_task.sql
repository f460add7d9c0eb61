-- The model that a task is to be done with; NULL: whichever whoever does it works with.
ALTER TABLE task ADD COLUMN model TEXT;

-- How often what was agreed to has been tried: a try that began nothing opens the question again, and the next yes is another try.
ALTER TABLE approval ADD COLUMN tries INTEGER NOT NULL DEFAULT 1 CHECK (tries > 0);

-- A person's limit says how much they may approve, too; one that a link brought to another account only bounds it.
ALTER TABLE limit_rule ADD COLUMN grants INTEGER NOT NULL DEFAULT 1 CHECK (grants IN (0, 1));

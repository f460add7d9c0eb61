-- Every identity that whoever asked had when they asked: they stay that person's for this approval, whatever is taken off later.
ALTER TABLE approval ADD COLUMN askers TEXT NOT NULL DEFAULT '[]';
CREATE TRIGGER approval_askers BEFORE UPDATE OF asked_by, askers ON approval
BEGIN SELECT RAISE(ABORT, 'who asked for an approval never changes'); END;

-- Every identity that whoever asked had when they asked: they stay that person's for this approval, whatever is taken off later.
ALTER TABLE approval ADD COLUMN askers TEXT NOT NULL DEFAULT '[]';
CREATE TRIGGER approval_askers BEFORE UPDATE OF asked_by, askers ON approval
BEGIN SELECT RAISE(ABORT, 'who asked for an approval never changes'); END;

-- Only people are linked: what the hub cannot reach (a device, an agent, a peer) could not be told, nor say who it is.
CREATE TRIGGER link_is_a_persons BEFORE INSERT ON link
WHEN substr(NEW.actor, 1, instr(NEW.actor, ':') - 1) IN ('', 'shortcuts', 'worker', 'peer', 'schedule')
BEGIN SELECT RAISE(ABORT, 'only a person is linked'); END;

-- A link that waits for an approval, as long as both its sides stay who they were when it was asked.
CREATE TABLE link_wish (
    approval INTEGER PRIMARY KEY,
    actor    TEXT NOT NULL,
    maker    TEXT NOT NULL,
    expires  INTEGER NOT NULL
) STRICT;

-- What a wrong code was meant to do (pair, link): each is counted by itself.
ALTER TABLE pairing_failure ADD COLUMN kind TEXT NOT NULL DEFAULT 'pair';

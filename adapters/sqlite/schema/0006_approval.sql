-- What is only done once a person has agreed, and the messages that asked.
CREATE TABLE approval (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    action TEXT NOT NULL,
    digest TEXT NOT NULL,
    words TEXT NOT NULL,
    asked_by TEXT NOT NULL,
    conversation TEXT NOT NULL,
    approvers TEXT NOT NULL,
    needs TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'approved', 'denied', 'expired', 'done')),
    decided_by TEXT,
    decided_at INTEGER,
    outcome TEXT NOT NULL
) STRICT;

CREATE INDEX approval_pending ON approval (state) WHERE state IN ('open', 'approved');

CREATE TABLE approval_question (
    approval INTEGER NOT NULL REFERENCES approval (id),
    outgoing INTEGER NOT NULL,
    PRIMARY KEY (approval, outgoing)
) STRICT, WITHOUT ROWID;

-- Who decided what, and on which action, never changes.
CREATE TRIGGER approval_action BEFORE UPDATE ON approval
WHEN old.kind <> new.kind OR old.action <> new.action OR old.digest <> new.digest OR old.approvers <> new.approvers
    OR old.state IN ('denied', 'expired', 'done') OR (old.decided_by IS NOT NULL AND old.decided_by IS NOT new.decided_by)
BEGIN SELECT RAISE(ABORT, 'a settled approval never changes'); END;

CREATE TRIGGER approval_kept BEFORE DELETE ON approval
BEGIN SELECT RAISE(ABORT, 'an approval is kept'); END;

-- Numbers of advice up to the one that a conversation was told of that it was not: those were about somebody who was away.
ALTER TABLE spark_read ADD COLUMN untold TEXT NOT NULL DEFAULT '[]'; -- JSON

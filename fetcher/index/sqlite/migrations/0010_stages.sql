-- Add what was done to the received bytes before they were kept.

ALTER TABLE imports ADD COLUMN stages TEXT NOT NULL DEFAULT '{}';

-- Who is told of the imports of a schedule: a URL and a secret, for as long as there is the schedule.

ALTER TABLE schedules ADD COLUMN receiver TEXT;

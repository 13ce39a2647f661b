CREATE TABLE members (
  group_id  INTEGER NOT NULL,
  member_id INTEGER NOT NULL,
  joined    INTEGER NOT NULL,  -- microseconds since 1970, UTC
  PRIMARY KEY (group_id, member_id)
) WITHOUT ROWID;

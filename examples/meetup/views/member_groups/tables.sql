CREATE TABLE memberships (
  member_id INTEGER NOT NULL,
  group_id  INTEGER NOT NULL,
  since     INTEGER NOT NULL,  -- microseconds since 1970, UTC
  PRIMARY KEY (member_id, group_id)
) WITHOUT ROWID;

-- Groups that exist or have members: the site has no foreign keys, and now and then somebody joins a group that is being closed.
CREATE TABLE group_info (
  group_id INTEGER PRIMARY KEY,
  name     TEXT,                -- null: the group is gone, its members are not
  members  INTEGER NOT NULL DEFAULT 0
);

-- What the service queries.
CREATE VIEW groups_of_member AS
SELECT m.member_id, m.group_id, g.name, g.members, m.since
FROM memberships m JOIN group_info g USING (group_id);
